"""Rows of agents. One is named by its id, its number or its key; what could be several of these is taken in this order."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from polis.db import UniqueViolation
from polis.identity.tokens.opaque import digest
from polis.proto import Refused
from polis.proto.identity import (
    Agent,
    AgentCreated,
    AgentDeleted,
    AgentKeyTaken,
    AgentNotFound,
    AgentNumberTaken,
    AgentResumed,
    AgentSuspended,
    AgentUpdated,
    ListAgents,
    Scopes,
)

if TYPE_CHECKING:
    from polis.db import Tenant, Transaction

_MAX_NUMBER = 1_000_000_000
MAX_MAKERS = 8
"""Makers of an agent that are looked for, each the one before's."""


class Principal(Struct, frozen=True):
    """What a token says of an agent. `scopes`: all that it may do."""

    org_id: UUID
    id: UUID
    name: str
    sid: UUID
    scopes: Scopes
    kind: str


async def number(tx: Transaction, org_id: UUID, wanted: int | None) -> int:
    """The number of a new agent: the wanted one, or the next that no agent of the org ever had."""
    highest: int = await tx.value(
        """
        update identity.orgs
        set agents_numbered = greatest(agents_numbered + case when $2::int is null then 1 else 0 end, coalesce($2, 0))
        where org_id = $1
        returning agents_numbered
        """,
        org_id,
        wanted,
    )
    return wanted or highest


async def create(tx: Transaction, agent: Agent, *, sid: UUID) -> None:
    """Store a new agent, and tell. Refused(AgentKeyTaken), Refused(AgentNumberTaken)."""
    try:
        await tx.execute(
            """
            insert into identity.agents
                (org_id, id, key, name, sid, created_by, created_at, number, kind, unit_id, scopes)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
            """,
            agent.org_id,
            agent.id,
            agent.key,
            agent.name,
            sid,
            agent.created_by,
            agent.created_at,
            agent.number,
            agent.kind,
            agent.unit_id,
            agent.scopes,
        )
    except UniqueViolation as violation:
        if violation.constraint == "agents_number":
            raise Refused(AgentNumberTaken(number=agent.number)) from None
        if violation.constraint != "agents_key":
            raise
        raise Refused(AgentKeyTaken(key=agent.key)) from None
    await tx.emit(AgentCreated(agent.org_id, agent.id, agent))


async def page(db: Tenant, org_id: UUID, request: ListAgents, after: str | None, limit: int) -> list[Agent]:
    """Agents of the org by key."""
    return await db.rows(
        Agent,
        """
        select id, org_id, key, name, created_by, created_at, number, kind, unit_id, scopes, suspended_at
        from identity.agents
        where org_id = $1 and key > $2
            and ($4::text is null or lower(name) = lower($4))
            and ($5::text is null or kind = $5)
            and ($6::uuid is null or unit_id = $6)
        order by key
        limit $3
        """,
        org_id,
        after or "",
        limit,
        request.name,
        request.kind,
        request.unit_id,
    )


async def get(db: Tenant | Transaction, org_id: UUID, agent: str) -> Agent:
    """As `find`; Refused(AgentNotFound)."""
    found = await find(db, org_id, agent)
    if found is None:
        raise Refused(AgentNotFound(agent=agent))
    return found


async def find(db: Tenant | Transaction, org_id: UUID, agent: str) -> Agent | None:
    """An agent by id, key or number; a number never looks like a key, and what looks like an id is taken for one."""
    return await db.row(
        Agent,
        """
        select id, org_id, key, name, created_by, created_at, number, kind, unit_id, scopes, suspended_at
        from identity.agents
        where org_id = $1 and (id = $2 or key = $3 or number = $4)
        order by id = $2 desc nulls last
        limit 1
        """,
        org_id,
        id_of(agent),
        agent,
        number_of(agent),
    )


async def makers(db: Tenant | Transaction, org_id: UUID, agent_id: UUID) -> tuple[UUID, ...]:
    """Who made an agent, and who made that one if it is an agent, the nearest first."""
    found = await db.rows(
        UUID,
        """
        with recursive made (by, depth) as (
            select g.created_by, 1 from identity.agents g where g.org_id = $1 and g.id = $2
            union all
            select g.created_by, m.depth + 1 from identity.agents g join made m on g.org_id = $1 and g.id = m.by
            where m.depth < $3
        )
        select by from made order by depth
        """,
        org_id,
        agent_id,
        MAX_MAKERS,
    )
    return tuple(found)


async def lock(tx: Transaction, org_id: UUID, agent: str) -> Agent:
    """As `get`; nobody else changes the agent or its credentials until the transaction ends."""
    found = await get(tx, org_id, agent)
    await tx.value(
        "select true from identity.agents where org_id = $1 and id = $2 for update", org_id, found.id
    )
    return await get(tx, org_id, str(found.id))


async def update(tx: Transaction, agent: Agent) -> None:
    """Store the name, unit and limit of a locked agent, and tell."""
    await tx.execute(
        "update identity.agents set name = $3, unit_id = $4, scopes = $5 where org_id = $1 and id = $2",
        agent.org_id,
        agent.id,
        agent.name,
        agent.unit_id,
        agent.scopes,
    )
    await tx.emit(AgentUpdated(agent.org_id, agent.id, agent))


async def suspend(tx: Transaction, agent: Agent, at: datetime | None) -> None:
    """Suspend a locked agent, or resume it with None; and tell."""
    await tx.execute(
        "update identity.agents set suspended_at = $3 where org_id = $1 and id = $2",
        agent.org_id,
        agent.id,
        at,
    )
    fact = AgentResumed if at is None else AgentSuspended
    await tx.emit(fact(agent.org_id, agent.id))


async def renew_sid(tx: Transaction, agent: Agent) -> UUID:
    """Give a locked agent another session id; the old one is the caller's to revoke."""
    old: UUID = await tx.value(
        "update identity.agents set sid = uuidv7() where org_id = $1 and id = $2 returning old.sid",
        agent.org_id,
        agent.id,
    )
    return old


async def delete(tx: Transaction, agent: Agent) -> UUID:
    """Delete a locked agent with its credentials, and tell; its session id."""
    sid: UUID = await tx.value(
        "delete from identity.agents where org_id = $1 and id = $2 returning sid", agent.org_id, agent.id
    )
    await tx.emit(AgentDeleted(agent.org_id, agent.id))
    return sid


async def by_secret(tx: Transaction, agent_id: UUID, secret: str, at: datetime) -> Principal | None:
    """The agent that a client id and secret belong to, unless it is suspended. Asked across orgs."""
    return await tx.row(
        Principal,
        """
        select a.org_id, a.id, a.name, a.sid, a.scopes, a.kind
        from identity.agents a
        join identity.credentials c on c.org_id = a.org_id and c.agent_id = a.id
        where a.id = $1 and c.secret_hash = $2 and (c.expires_at is null or c.expires_at > $3)
            and a.suspended_at is null
        limit 1
        """,
        agent_id,
        digest(secret),
        at,
    )


def id_of(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def number_of(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and int(text) <= _MAX_NUMBER else None
