"""Sessions of a person: where they are open, how they end, and how a person proves again who they are."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from polis.proto.contract import SIGNED_IN, Cursor, Limit, Page, Problem, Request, Time, operation, problem
from polis.proto.identity.tokens import AccessToken
from polis.proto.identity.words import GivenPassword

Proof = Annotated[
    Literal["pwd", "otp"],
    Meta(description="A password, or a code of the second factor (RFC 8176).", examples=["pwd"]),
]
Code = Annotated[
    str,
    Meta(
        max_length=64,
        pattern=r"^[^\x00]*$",
        description="Six digits of the authenticator, or a recovery code.",
        examples=["492039"],
    ),
]


class OpenSession(Struct, frozen=True):
    """A session of the caller: on which device, from which address, and by what it was proved.

    `current` is the one that asks. `id` stays for as long as the session lives.
    """

    id: UUID
    device: str
    address: str
    opened_at: Time
    renewed_at: Time
    expires_at: Time
    proved_by: tuple[Proof, ...]
    current: bool = False


@problem(status=404)
class SessionNotFound(Problem, frozen=True):
    """No open session of the caller has this id."""

    session_id: UUID


@problem(status=422)
class WrongProof(Problem, frozen=True):
    """The password or the code does not fit."""


@problem(status=409)
class CodeNeeded(Problem, frozen=True):
    """The account has a second factor: a code proves who it is, a password alone does not."""


@operation(http="GET /sessions", scope=SIGNED_IN)
class ListSessions(Request[Page[OpenSession]], frozen=True):
    """List the caller's open sessions, the newest first."""

    limit: Limit = 50
    after: Cursor | None = None


@operation(
    http="DELETE /sessions/{session_id}", scope=SIGNED_IN, problems=(SessionNotFound,), idempotent=False
)
class EndSession(Request[None], frozen=True):
    """End one of the caller's sessions: its tokens are refused everywhere."""

    session_id: UUID


@operation(http="DELETE /sessions", scope=SIGNED_IN, idempotent=False)
class EndOtherSessions(Request[None], frozen=True):
    """End every session of the caller but the one that asks."""


@operation(
    http="POST /sessions/confirm", scope=SIGNED_IN, problems=(WrongProof, CodeNeeded), idempotent=False
)
class ConfirmIdentity(Request[AccessToken], frozen=True):
    """Prove again who one is, with the password or, where there is a second factor, with a code.

    The access token that this gives opens sensitive operations for some minutes.
    """

    password: GivenPassword | None = None
    code: Code | None = None
