"""Identity answers for orgs, principals, sessions and credentials. It alone issues tokens."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from polis.proto.contract import (
    EVERY_SERVICE,
    INTERNAL,
    PUBLIC,
    SIGNED_IN,
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

# `(?!\n)`: in Python's dialect `$` also matches before a newline at the end; in JSON Schema's it does not.
Email = Annotated[
    str,
    Meta(
        min_length=3,
        max_length=254,
        pattern=r"^[^@\s\x00-\x1f\x7f]+@[^@\s\x00-\x1f\x7f]+\.[^@\s\x00-\x1f\x7f]+$(?!\n)",
        description="An e-mail address.",
        examples=["ada@example.org"],
    ),
]
GivenEmail = Annotated[
    str,
    Meta(
        max_length=254,
        pattern=r"^[^\x00]*$",
        description="The e-mail address of an account.",
        examples=["ada@example.org"],
    ),
]
Password = Annotated[
    str,
    Meta(
        min_length=10,
        max_length=256,
        description="At least 10 characters.",
        examples=["correct horse battery staple"],
    ),
]
GivenPassword = Annotated[str, Meta(max_length=256, examples=["correct horse battery staple"])]
Name = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=120,
        pattern=r"^[^\x00-\x1f\x7f]+$(?!\n)",
        description="A name for people to read.",
        examples=["Ada Lovelace"],
    ),
]
AgentKey = Annotated[
    str,
    Meta(
        pattern=r"^[a-z][a-z0-9-]{0,62}$(?!\n)",
        description="Short name of an agent, unique in its org.",
        examples=["sarah"],
    ),
]
AgentRef = Annotated[
    str,
    Meta(
        max_length=64,
        pattern=r"^[A-Za-z0-9-]+$(?!\n)",
        description="Id or key of an agent.",
        examples=["sarah"],
    ),
]
Token = Annotated[
    str,
    Meta(min_length=1, max_length=4096, description="An opaque token.", examples=["fTq0pYw3sZk9"]),
]
Scope = Annotated[
    str,
    Meta(
        max_length=64,
        pattern=r"^[a-z]+:[a-z]+$(?!\n)",
        description="`<service>:<verb>`.",
        examples=["catalog:read"],
    ),
]
Role = Annotated[Literal["owner", "admin", "member", "viewer"], Meta(examples=["member"])]
PrincipalKind = Annotated[Literal["user", "agent", "service"], Meta(examples=["user"])]

_READ = frozenset({"identity:read", "catalog:read", "runtime:read"})
_WORK = _READ | {"identity:agents", "catalog:write", "runtime:run"}
_MANAGE = _WORK | {"identity:members"}
ROLE_SCOPES: dict[str, frozenset[str]] = {
    "viewer": _READ,
    "member": _WORK,
    "admin": _MANAGE,
    "owner": _MANAGE | {"identity:owners"},
    "agent": _READ | {"catalog:write", "runtime:run"},
}
"""Roles as bundles of scopes. Agents are not members: their bundle is `agent`."""


class Org(Struct, frozen=True):
    """A tenant: the boundary of data."""

    id: UUID
    name: Name
    created_at: Time


class Membership(Struct, frozen=True):
    """A user's place in an org."""

    org: Org
    role: Role


class Principal(Struct, frozen=True):
    """Somebody who acts: a user, an agent or a service. `key` is an agent's short name."""

    id: UUID
    kind: PrincipalKind
    name: Name
    key: str | None = None


class Me(Struct, frozen=True):
    """Who the caller is, in which org, and what it may do there."""

    principal: Principal
    org_id: UUID
    role: str
    scopes: tuple[str, ...]
    memberships: tuple[Membership, ...] = ()


class Session(Struct, frozen=True):
    """A signed-in session: a short-lived access token and the single-use token that renews it.

    `session_id` is what SessionEnded names; a renewal gives another one after the user's roles have changed.
    """

    session_id: UUID
    access_token: str
    refresh_token: str
    expires_in_s: int
    me: Me


class AccessToken(Struct, frozen=True):
    """A short-lived access token (EdDSA JWT)."""

    access_token: str
    expires_in_s: int


class Agent(Struct, frozen=True):
    """An agent of an org."""

    id: UUID
    org_id: UUID
    key: AgentKey
    name: Name
    created_by: UUID
    created_at: Time


class AgentCredential(Struct, frozen=True):
    """A new agent with its secret, which is shown this once."""

    agent: Agent
    client_id: str
    client_secret: str


class Member(Struct, frozen=True):
    """A user in an org."""

    principal_id: UUID
    email: Email
    name: Name
    role: Role
    since: Time


class Invitation(Struct, frozen=True):
    """An invitation into an org. Its token is shown this once."""

    id: UUID
    email: Email
    role: Role
    token: str
    expires_at: Time


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


@problem(status=409)
class EmailTaken(Problem, frozen=True):
    """An account with this e-mail address exists."""

    email: str


@problem(status=403)
class SignUpClosed(Problem, frozen=True):
    """New accounts need an invitation here, or cannot be made at all."""


@problem(status=401)
class WrongCredentials(Problem, frozen=True):
    """The name and the secret do not fit together."""


@problem(status=401)
class RefreshRefused(Problem, frozen=True):
    """The refresh token is unknown, expired, or was used before.

    `raced`: another request renewed the session with it a moment ago, and the session lives on with that one's tokens.
    """

    raced: bool = False


@problem(status=404)
class InvitationNotFound(Problem, frozen=True):
    """No open invitation has this token."""


@problem(status=404)
class AdministratorLinkUsed(Problem, frozen=True):
    """The one-time link is not valid, or not any more."""


@problem(status=409)
class AgentKeyTaken(Problem, frozen=True):
    """An agent of this org has this key."""

    key: str


@problem(status=404)
class AgentNotFound(Problem, frozen=True):
    """No agent of this org has this id or key."""

    agent: str


@problem(status=404)
class MemberNotFound(Problem, frozen=True):
    """No member of this org has this id."""

    principal_id: UUID


@problem(status=404)
class PrincipalNotFound(Problem, frozen=True):
    """Nobody of this id is active in this org."""

    principal_id: UUID


@problem(status=404)
class OrgNotFound(Problem, frozen=True):
    """The caller is in no org of this id."""

    org_id: UUID


@problem(status=409)
class LastOwner(Problem, frozen=True):
    """An org keeps at least one owner."""


@event(entity="org_id")
class OrgCreated(Event, frozen=True):
    """An org exists from now on."""

    org: Org
    owner_id: UUID


@event(entity="principal_id")
class MemberJoined(Event, frozen=True):
    """A user is a member of the org from now on."""

    principal_id: UUID
    role: Role


@event(entity="principal_id")
class MemberRoleChanged(Event, frozen=True):
    """A member has another role from now on."""

    principal_id: UUID
    role: Role


@event(entity="principal_id")
class MemberRemoved(Event, frozen=True):
    """A user is no longer a member of the org."""

    principal_id: UUID


@event(entity="agent_id")
class AgentCreated(Event, frozen=True):
    """An agent belongs to the org from now on."""

    agent_id: UUID
    agent: Agent


@event(entity="agent_id", listeners=("runtime",))
class AgentDeleted(Event, frozen=True):
    """An agent is gone; nothing acts as it any more."""

    agent_id: UUID


@event(entity="session_id")
class SessionEnded(Event, frozen=True):
    """Access tokens of this session id are refused from now on."""

    session_id: UUID
    until: Time


@operation(http="POST /sign-up", scope=PUBLIC, problems=(EmailTaken, SignUpClosed, InvitationNotFound))
class SignUp(Request[Session], frozen=True):
    """Create an account, with an org of its own or in the org that an invitation names."""

    email: Email
    password: Password
    name: Name
    org_name: Name | None = None
    invitation: Token | None = None


@operation(http="POST /sign-in", scope=PUBLIC, problems=(WrongCredentials, OrgNotFound), idempotent=False)
class SignIn(Request[Session], frozen=True):
    """Open a session with e-mail and password, in one of the user's orgs."""

    email: GivenEmail
    password: GivenPassword
    org_id: UUID | None = None


@operation(http="POST /sessions/refresh", scope=PUBLIC, problems=(RefreshRefused,), idempotent=False)
class Refresh(Request[Session], frozen=True):
    """Trade a refresh token for a new one and a new access token. A used one ends the session."""

    refresh_token: Token


@operation(http="POST /sign-out", scope=SIGNED_IN, idempotent=False)
class SignOut(Request[None], frozen=True):
    """End the caller's session: its tokens are refused everywhere."""


@operation(
    http="POST /token", scope=PUBLIC, problems=(WrongCredentials,), callers=(EVERY_SERVICE,), idempotent=False
)
class SignInClient(Request[AccessToken], frozen=True):
    """Give an agent or a service an access token for its client credentials."""

    client_id: Annotated[str, Meta(max_length=128, pattern=r"^[^\x00]*$")]
    client_secret: Annotated[str, Meta(max_length=256)]


@operation(
    http="POST /administrators", scope=PUBLIC, problems=(AdministratorLinkUsed, EmailTaken), idempotent=False
)
class ClaimAdministrator(Request[Session], frozen=True):
    """Create the first administrator with the one-time link of the first start."""

    token: Token
    email: Email
    password: Password
    name: Name


@operation(http="GET /me", scope=SIGNED_IN)
class GetMe(Request[Me], frozen=True):
    """Read who the caller is and what it may do."""


@operation(http="GET /jwks", scope=PUBLIC, callers=(EVERY_SERVICE,))
class GetJwks(Request[Jwks], frozen=True):
    """Read the keys that verify access tokens."""


@operation(http="POST /orgs", scope=SIGNED_IN)
class CreateOrg(Request[Org], frozen=True):
    """Create an org; the caller, a user, is its owner."""

    name: Name


@operation(http="POST /sessions/org", scope=SIGNED_IN, problems=(OrgNotFound,), idempotent=False)
class SwitchOrg(Request[AccessToken], frozen=True):
    """Get an access token of the same session for another org of the caller."""

    org_id: UUID


@operation(http="GET /members", scope="identity:read")
class ListMembers(Request[Page[Member]], frozen=True):
    """List the members of the org."""

    after: Cursor | None = None
    limit: Limit = 50


@operation(
    http="PATCH /members/{principal_id}", scope="identity:members", problems=(MemberNotFound, LastOwner)
)
class ChangeRole(Request[Member], frozen=True):
    """Give a member another role. Owners are made and unmade by owners only."""

    principal_id: UUID
    role: Role


@operation(
    http="DELETE /members/{principal_id}", scope="identity:members", problems=(MemberNotFound, LastOwner)
)
class RemoveMember(Request[None], frozen=True):
    """Take a member out of the org."""

    principal_id: UUID


@operation(http="POST /invitations", scope="identity:members")
class InviteMember(Request[Invitation], frozen=True):
    """Invite somebody into the org; the token is shown this once."""

    email: Email
    role: Role = "member"


@operation(http="POST /invitations/accept", scope=SIGNED_IN, problems=(InvitationNotFound,))
class AcceptInvitation(Request[Membership], frozen=True):
    """Join the org that an invitation for the caller's e-mail address names; SwitchOrg leads there."""

    token: Token


@operation(http="POST /agents", scope="identity:agents", problems=(AgentKeyTaken,))
class CreateAgent(Request[AgentCredential], frozen=True):
    """Create an agent in the org; its secret is shown this once."""

    key: AgentKey
    name: Name


@operation(http="GET /agents", scope="identity:read")
class ListAgents(Request[Page[Agent]], frozen=True):
    """List the agents of the org."""

    after: Cursor | None = None
    limit: Limit = 50


@operation(http="GET /agents/{agent}", scope="identity:read", problems=(AgentNotFound,), callers=("runtime",))
class GetAgent(Request[Agent], frozen=True):
    """Read an agent by its id or key."""

    agent: AgentRef


@operation(http="DELETE /agents/{agent}", scope="identity:agents", problems=(AgentNotFound,))
class DeleteAgent(Request[None], frozen=True):
    """Delete an agent: its credentials end and its runs are cancelled."""

    agent: AgentRef


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
