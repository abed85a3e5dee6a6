"""Agents of an org and their credentials."""

from __future__ import annotations

from uuid import UUID

from msgspec import Struct

from polis.proto.contract import Cursor, Event, Limit, Page, Problem, Request, Time, event, operation, problem
from polis.proto.identity.words import AgentKey, AgentRef, Name


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


@problem(status=409)
class AgentKeyTaken(Problem, frozen=True):
    """An agent of this org has this key."""

    key: str


@problem(status=404)
class AgentNotFound(Problem, frozen=True):
    """No agent of this org has this id or key."""

    agent: str


@event(entity="agent_id")
class AgentCreated(Event, frozen=True):
    """An agent belongs to the org from now on."""

    agent_id: UUID
    agent: Agent


@event(entity="agent_id", listeners=("runtime",))
class AgentDeleted(Event, frozen=True):
    """An agent is gone; nothing acts as it any more."""

    agent_id: UUID


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
