"""API keys: what programs sign in with for somebody, within what that somebody may do at the moment."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from polis.proto.contract import (
    PUBLIC,
    Cursor,
    Event,
    Limit,
    Page,
    Problem,
    Request,
    Time,
    event,
    operation,
    problem,
)
from polis.proto.identity.tokens import AccessToken, WrongCredentials
from polis.proto.identity.units import UnitNotFound
from polis.proto.identity.words import Name, NewName, Overlap, Scopes

KEY_TOKEN_S = 60
"""Lifetime of the tokens that keys are traded for."""


class ApiKey(Struct, frozen=True):
    """A key of a principal in an org. `hint`: the beginning, to know it again. `last_used_at` is true to a minute."""

    id: UUID
    org_id: UUID
    name: Name
    hint: str
    principal_id: UUID
    scopes: Scopes
    created_at: Time
    unit_id: UUID | None = None
    expires_at: Time | None = None
    last_used_at: Time | None = None
    rotated_at: Time | None = None


class NewKey(Struct, frozen=True):
    """A key with its secret text, which is shown this once."""

    key: ApiKey
    secret: str


@problem(status=404)
class KeyNotFound(Problem, frozen=True):
    """The caller sees no key of this id."""

    key_id: UUID


@problem(status=409)
class TooManyKeys(Problem, frozen=True):
    """The principal has as many keys as it may have; one has to be revoked first."""

    most: int


@event(entity="key_id")
class KeyCreated(Event, frozen=True):
    """A principal has a key more from now on."""

    key_id: UUID
    principal_id: UUID


@event(entity="key_id")
class KeyRevoked(Event, frozen=True):
    """A key opens nothing any more."""

    key_id: UUID
    principal_id: UUID


@operation(http="POST /keys", scope="identity:keys", problems=(TooManyKeys, UnitNotFound))
class CreateKey(Request[NewKey], frozen=True):
    """Create a key for the caller, with scopes that the caller holds; the secret is shown this once.

    What it may do at any moment is what the key, its owner's role and the org allow.
    """

    name: NewName
    scopes: Scopes
    expires_at: Time | None = None
    unit_id: UUID | None = None


@operation(http="GET /keys", scope="identity:keys")
class ListKeys(Request[Page[ApiKey]], frozen=True):
    """List the caller's keys, or with `everyones` those of the org for whoever manages its members."""

    after: Cursor | None = None
    limit: Limit = 50
    everyones: bool = False


@operation(http="GET /keys/{key_id}", scope="identity:keys", problems=(KeyNotFound,))
class GetKey(Request[ApiKey], frozen=True):
    """Read a key; its secret is not known."""

    key_id: UUID


@operation(http="POST /keys/{key_id}/rotate", scope="identity:keys", problems=(KeyNotFound,))
class RotateKey(Request[NewKey], frozen=True):
    """Give one's own key a new secret, shown this once; the old one holds for the overlap; without any, its tokens end, too."""

    key_id: UUID
    overlap_s: Overlap = 86_400


@operation(http="DELETE /keys/{key_id}", scope="identity:keys", problems=(KeyNotFound,))
class RevokeKey(Request[None], frozen=True):
    """End a key and its tokens: one's own, or anybody's for whoever manages members."""

    key_id: UUID


@operation(scope=PUBLIC, callers=("gateway",), problems=(WrongCredentials,))
class SignInKey(Request[AccessToken], frozen=True):
    """Trade a key for an access token of a minute: what key, owner and org allow at this moment."""

    key: Annotated[str, Meta(max_length=128, pattern=r"^[0-9A-Za-z_]+$(?!\n)", examples=["pk_1_2"])]
