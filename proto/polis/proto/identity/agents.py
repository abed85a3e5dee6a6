"""Agents and applications of an org: principals with an id, a number and a key, and the credentials they sign in with."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from polis.proto.contract import Cursor, Event, Limit, Page, Problem, Request, Time, event, operation, problem
from polis.proto.identity.units import UnitNotFound
from polis.proto.identity.words import AgentKey, AgentNumber, AgentRef, Name, NewName, Overlap, Scopes

AgentKind = Annotated[Literal["agent", "application"], Meta(description="Application: a program of the org.")]
CREDENTIALS = 5
"""Credentials that an agent may have at a time: one, and those that overlap with it."""


class Agent(Struct, frozen=True):
    """An agent or application of an org. `scopes`: all that its tokens may do; `suspended_at`: since when it may do nothing."""

    id: UUID
    org_id: UUID
    key: AgentKey
    name: Name
    created_by: UUID
    created_at: Time
    number: AgentNumber = 1
    kind: AgentKind = "agent"
    unit_id: UUID | None = None
    scopes: Scopes = ()
    suspended_at: Time | None = None


class AgentCredential(Struct, frozen=True):
    """An agent with a new secret, which is shown this once."""

    agent: Agent
    client_id: str
    client_secret: str


class Credential(Struct, frozen=True):
    """A secret of an agent, of which only the id and the times are known."""

    id: UUID
    created_at: Time
    expires_at: Time | None = None


@problem(status=409)
class AgentKeyTaken(Problem, frozen=True):
    """An agent of this org has this key."""

    key: str


@problem(status=409)
class AgentNumberTaken(Problem, frozen=True):
    """An agent of this org has this number."""

    number: int


@problem(status=404)
class AgentNotFound(Problem, frozen=True):
    """No agent of this org has this id, key or number."""

    agent: str


@problem(status=404)
class CredentialNotFound(Problem, frozen=True):
    """The agent has no credential of this id."""

    credential_id: UUID


@problem(status=409)
class TooManyCredentials(Problem, frozen=True):
    """The agent has as many credentials as it may have; one has to be revoked first."""

    most: int


@event(entity="agent_id", listeners=("catalog",), shown="identity:read")
class AgentCreated(Event, frozen=True):
    """An agent belongs to the org from now on."""

    agent_id: UUID
    agent: Agent


@event(entity="agent_id", listeners=("catalog",), shown="identity:read")
class AgentUpdated(Event, frozen=True):
    """An agent is called, placed or limited otherwise from now on."""

    agent_id: UUID
    agent: Agent


@event(entity="agent_id", listeners=("runtime",), shown="identity:read")
class AgentSuspended(Event, frozen=True):
    """Nothing acts as this agent until it is resumed."""

    agent_id: UUID


@event(entity="agent_id", listeners=("runtime",), shown="identity:read")
class AgentResumed(Event, frozen=True):
    """A suspended agent may act again."""

    agent_id: UUID


@event(entity="agent_id", listeners=("catalog", "messaging", "runtime"), shown="identity:read")
class AgentDeleted(Event, frozen=True):
    """An agent is gone; nothing acts as it any more."""

    agent_id: UUID


@operation(
    http="POST /agents",
    scope="identity:agents",
    problems=(AgentKeyTaken, AgentNumberTaken, UnitNotFound),
    callers=("runtime",),
)
class CreateAgent(Request[AgentCredential], frozen=True):
    """Create an agent in the org; its secret is shown this once. It may do no more than its creator, and less with `scopes`.

    Without `number` it gets the next one.
    """

    key: AgentKey
    name: NewName
    kind: AgentKind = "agent"
    number: AgentNumber | None = None
    unit_id: UUID | None = None
    scopes: Scopes | None = None


@operation(http="GET /agents", scope="identity:read")
class ListAgents(Request[Page[Agent]], frozen=True):
    """List the agents of the org by key: all, those of a name, of a kind or in a unit."""

    after: Cursor | None = None
    limit: Limit = 50
    name: Name | None = None
    kind: AgentKind | None = None
    unit_id: UUID | None = None


@operation(
    http="GET /agents/{agent}",
    scope="identity:read",
    problems=(AgentNotFound,),
    callers=("messaging", "runtime"),
)
class GetAgent(Request[Agent], frozen=True):
    """Read an agent by its id, key or number."""

    agent: AgentRef


@operation(http="PATCH /agents/{agent}", scope="identity:agents", problems=(AgentNotFound, UnitNotFound))
class UpdateAgent(Request[Agent], frozen=True):
    """Give an agent another name, unit or limit; what is left out stays. Its tokens end when it may do less."""

    agent: AgentRef
    name: NewName | None = None
    unit_id: UUID | None = None
    scopes: Scopes | None = None


@operation(http="POST /agents/{agent}/suspend", scope="identity:agents", problems=(AgentNotFound,))
class SuspendAgent(Request[Agent], frozen=True):
    """Keep an agent from acting: its tokens end, and its credentials and keys give none until it is resumed."""

    agent: AgentRef


@operation(http="POST /agents/{agent}/resume", scope="identity:agents", problems=(AgentNotFound,))
class ResumeAgent(Request[Agent], frozen=True):
    """Let a suspended agent act again, with the credentials that it had."""

    agent: AgentRef


@operation(http="DELETE /agents/{agent}", scope="identity:agents", problems=(AgentNotFound,))
class DeleteAgent(Request[None], frozen=True):
    """Delete an agent: its credentials end and its runs are cancelled."""

    agent: AgentRef


@operation(http="GET /agents/{agent}/credentials", scope="identity:agents", problems=(AgentNotFound,))
class ListCredentials(Request[Page[Credential]], frozen=True):
    """List an agent's credentials on one page, oldest first; their secrets are not known."""

    agent: AgentRef


@operation(
    http="POST /agents/{agent}/credentials",
    scope="identity:agents",
    problems=(AgentNotFound, TooManyCredentials),
)
class RotateCredential(Request[AgentCredential], frozen=True):
    """Give an agent a new secret, shown this once; those it has hold for the overlap, and no longer than they did.

    Without an overlap its tokens end, too.
    """

    agent: AgentRef
    overlap_s: Overlap = 86_400


@operation(
    http="DELETE /agents/{agent}/credentials/{credential_id}",
    scope="identity:agents",
    problems=(AgentNotFound, CredentialNotFound),
)
class RevokeCredential(Request[None], frozen=True):
    """End one credential of an agent, and the tokens that the agent has."""

    agent: AgentRef
    credential_id: UUID
