"""Access tokens: the keys that verify them, the sessions that they are refused for, tokens for clients and services."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from polis.proto.contract import EVERY_SERVICE, INTERNAL, PUBLIC, Problem, Request, Time, operation, problem
from polis.proto.identity.words import Scope


class AccessToken(Struct, frozen=True):
    """A short-lived access token (EdDSA JWT)."""

    access_token: str
    expires_in_s: int


class Jwk(Struct, frozen=True):
    """A public signing key (RFC 8037)."""

    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    kid: str
    x: str
    alg: Literal["EdDSA"] = "EdDSA"
    use: Literal["sig"] = "sig"


class Jwks(Struct, frozen=True):
    """The keys that verify access tokens (RFC 7517)."""

    keys: tuple[Jwk, ...]


class Revocation(Struct, frozen=True):
    """Access tokens of this session id are refused until then, when the last of them has expired."""

    session_id: UUID
    until: Time


class Revocations(Struct, frozen=True):
    """Sessions whose tokens are refused although they have not expired; `next_after` when there are more."""

    revocations: tuple[Revocation, ...]
    next_after: UUID | None = None


@problem(status=401)
class WrongCredentials(Problem, frozen=True):
    """The name and the secret do not fit together."""


@problem(status=404)
class PrincipalNotFound(Problem, frozen=True):
    """Nobody of this id is active in this org."""

    principal_id: UUID


@operation(
    http="POST /token", scope=PUBLIC, problems=(WrongCredentials,), callers=(EVERY_SERVICE,), idempotent=False
)
class SignInClient(Request[AccessToken], frozen=True):
    """Give an agent or a service an access token for its client credentials."""

    client_id: Annotated[str, Meta(max_length=128, pattern=r"^[^\x00]*$")]
    client_secret: Annotated[str, Meta(max_length=256)]


@operation(http="GET /jwks", scope=PUBLIC, callers=(EVERY_SERVICE,))
class GetJwks(Request[Jwks], frozen=True):
    """Read the keys that verify access tokens."""


@operation(scope=INTERNAL, callers=("runtime",), problems=(PrincipalNotFound,))
class Delegate(Request[AccessToken], frozen=True):
    """Give a service a token for acting as a principal, narrowed to the scopes that it names."""

    org_id: UUID
    principal_id: UUID
    scopes: Annotated[tuple[Scope, ...], Meta(max_length=64)]


@operation(scope=INTERNAL, callers=(EVERY_SERVICE,))
class ListRevocations(Request[Revocations], frozen=True):
    """List the ended sessions whose tokens have not expired yet, by id."""

    after: UUID | None = None
