"""Rows of agents and their credentials."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from polis.identity.tokens.opaque import Opaque, digest
from polis.proto import Refused
from polis.proto.identity import Agent, AgentCreated, AgentDeleted, AgentKeyTaken, AgentNotFound

if TYPE_CHECKING:
    from polis.db import Tenant, Transaction


class Principal(Struct, frozen=True):
    """What a token says of an agent."""

    org_id: UUID
    id: UUID
    name: str
    sid: UUID


async def create(tx: Transaction, agent: Agent, *, sid: UUID) -> None:
    """Store a new agent, and tell. Refused(AgentKeyTaken)."""
    created = await tx.execute(
        """
        insert into identity.agents (org_id, id, key, name, sid, created_by, created_at)
        values ($1, $2, $3, $4, $5, $6, $7)
        on conflict on constraint agents_key do nothing
        """,
        agent.org_id,
        agent.id,
        agent.key,
        agent.name,
        sid,
        agent.created_by,
        agent.created_at,
    )
    if not created:
        raise Refused(AgentKeyTaken(key=agent.key))
    await tx.emit(AgentCreated(agent.org_id, agent.id, agent))


async def add_credential(
    tx: Transaction, agent: Agent, credential_id: UUID, secret: Opaque, at: datetime
) -> None:
    await tx.execute(
        """
        insert into identity.credentials (org_id, id, agent_id, secret_hash, created_at)
        values ($1, $2, $3, $4, $5)
        """,
        agent.org_id,
        credential_id,
        agent.id,
        secret.hash,
        at,
    )


async def page(db: Tenant, org_id: UUID, after: str | None, limit: int) -> list[Agent]:
    """Agents of the org by key."""
    return await db.rows(
        Agent,
        """
        select id, org_id, key, name, created_by, created_at
        from identity.agents
        where org_id = $1 and key > $2
        order by key
        limit $3
        """,
        org_id,
        after or "",
        limit,
    )


async def get(db: Tenant, org_id: UUID, agent: str) -> Agent:
    """As `find`; Refused(AgentNotFound)."""
    found = await find(db, org_id, agent)
    if found is None:
        raise Refused(AgentNotFound(agent=agent))
    return found


async def find(db: Tenant, org_id: UUID, agent: str) -> Agent | None:
    """An agent by id or key; what could be both is taken for an id."""
    return await db.row(
        Agent,
        """
        select id, org_id, key, name, created_by, created_at
        from identity.agents
        where org_id = $1 and (id = $2 or key = $3)
        order by id = $2 desc nulls last
        limit 1
        """,
        org_id,
        id_of(agent),
        agent,
    )


async def delete(tx: Transaction, org_id: UUID, agent: str) -> Principal:
    """Delete an agent with its credentials, and tell. Refused(AgentNotFound)."""
    gone = await tx.row(
        Principal,
        """
        delete from identity.agents a
        where a.org_id = $1 and a.id = (
            select b.id from identity.agents b
            where b.org_id = $1 and (b.id = $2 or b.key = $3)
            order by b.id = $2 desc nulls last
            limit 1
        )
        returning a.org_id, a.id, a.name, a.sid
        """,
        org_id,
        id_of(agent),
        agent,
    )
    if gone is None:
        raise Refused(AgentNotFound(agent=agent))
    await tx.emit(AgentDeleted(org_id, gone.id))
    return gone


async def by_secret(tx: Transaction, agent_id: UUID, secret: str, at: datetime) -> Principal | None:
    """The agent that a client id and secret belong to. Asked across orgs."""
    return await tx.row(
        Principal,
        """
        select a.org_id, a.id, a.name, a.sid
        from identity.agents a
        join identity.credentials c on c.org_id = a.org_id and c.agent_id = a.id
        where a.id = $1 and c.secret_hash = $2 and (c.expires_at is null or c.expires_at > $3)
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
