"""What OAuth2 clients know by name: tokens for clients (RFC 6749, 4.4), introspection (RFC 7662), revocation (RFC 7009).

Fields are called as the RFCs call them, and refusals have their `error` and `error_description` beside what every problem has. The gateway takes
forms as well as JSON.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from polis.proto.contract import PUBLIC, SIGNED_IN, Problem, Request, operation, problem
from polis.proto.problems import Fault

GivenToken = Annotated[
    str, Meta(max_length=4096, description="A token, as it was given.", examples=["prt_fTq0pYw3sZk9"])
]
GivenScope = Annotated[
    str, Meta(max_length=2048, description="Scopes, with spaces between.", examples=["catalog:read"])
]
TokenHint = Annotated[
    str, Meta(max_length=64, description="What kind the caller takes it for.", examples=["refresh_token"])
]


class OAuthToken(Struct, frozen=True):
    """An access token, as RFC 6749 names its parts. `scope`: all that it may do."""

    access_token: str
    token_type: Literal["Bearer"]
    expires_in: int
    scope: str


class Introspection(Struct, frozen=True, omit_defaults=True):
    """What a token is worth at this moment. Of one that is worth nothing, nothing else is told."""

    active: bool
    scope: str | None = None
    client_id: str | None = None
    username: str | None = None
    token_type: Literal["Bearer", "refresh_token"] | None = None
    exp: int | None = None
    iat: int | None = None
    nbf: int | None = None
    sub: str | None = None
    aud: str | None = None
    iss: str | None = None
    jti: str | None = None
    org: str | None = None
    kind: str | None = None


class Revoked(Struct, frozen=True):
    """The token is worth nothing any more, if it ever was worth something."""


@problem(status=400)
class InvalidRequest(Problem, frozen=True):
    """The request lacks a parameter, has one twice, or holds what it cannot."""

    error: Literal["invalid_request"] = "invalid_request"
    error_description: str = "A parameter is missing, stands twice or holds what it cannot."
    faults: tuple[Fault, ...] = ()


@problem(status=400)
class UnsupportedGrantType(Problem, frozen=True):
    """Tokens are given for client credentials alone."""

    error: Literal["unsupported_grant_type"] = "unsupported_grant_type"
    error_description: str = "The grant type is client_credentials."


@problem(status=401)
class InvalidClient(Problem, frozen=True):
    """The client id and the secret are missing, or do not fit together."""

    error: Literal["invalid_client"] = "invalid_client"
    error_description: str = "The client id and the secret are missing, or do not fit together."


@problem(status=400)
class InvalidScope(Problem, frozen=True):
    """The client asks for a scope that it does not hold."""

    error: Literal["invalid_scope"] = "invalid_scope"
    error_description: str = "The client does not hold all of the scopes."


@problem(status=400)
class UnsupportedTokenType(Problem, frozen=True):
    """Tokens that somebody acts with for somebody else cannot be revoked; they end within minutes."""

    error: Literal["unsupported_token_type"] = "unsupported_token_type"
    error_description: str = "Who acts for somebody else has tokens that end within minutes by themselves."


@operation(
    http="POST /oauth/token",
    scope=PUBLIC,
    problems=(InvalidRequest, UnsupportedGrantType, InvalidClient, InvalidScope),
    idempotent=False,
)
class TradeCredentials(Request[OAuthToken], frozen=True):
    """Give an agent, an application or a service an access token for its client credentials, narrowed to `scope`."""

    grant_type: Literal["client_credentials"]
    client_id: Annotated[str, Meta(max_length=128, pattern=r"^[^\x00]*$")]
    client_secret: Annotated[str, Meta(max_length=256)]
    scope: GivenScope | None = None


@operation(
    http="POST /oauth/introspect",
    scope=SIGNED_IN,
    problems=(InvalidRequest, InvalidClient),
    idempotent=False,
)
class IntrospectToken(Request[Introspection], frozen=True):
    """Tell what a token is worth: the caller's own, one for the caller's org, and to services of the mesh any.

    The caller comes with a token, or with client credentials by HTTP Basic.
    """

    token: GivenToken
    token_type_hint: TokenHint | None = None


@operation(
    http="POST /oauth/revoke",
    scope=PUBLIC,
    problems=(InvalidRequest, UnsupportedTokenType),
    idempotent=False,
)
class RevokeToken(Request[Revoked], frozen=True):
    """End a token that the caller holds: a refresh token or a user's access token with its session, an agent's, an API key."""

    token: GivenToken
    token_type_hint: TokenHint | None = None
