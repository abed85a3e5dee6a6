"""Rows of agents' secrets: several of one agent, so that a secret can be rotated with an overlap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polis.proto import Refused
from polis.proto.identity import CREDENTIALS, Credential, CredentialNotFound, TooManyCredentials

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from polis.db import Tenant, Transaction
    from polis.identity.tokens.opaque import Opaque
    from polis.proto.identity import Agent


async def add(tx: Transaction, agent: Agent, credential_id: UUID, secret: Opaque, at: datetime) -> None:
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


async def of_agent(db: Tenant | Transaction, agent: Agent, at: datetime) -> tuple[Credential, ...]:
    """Those that still hold, oldest first."""
    found = await db.rows(
        Credential,
        """
        select id, created_at, expires_at
        from identity.credentials
        where org_id = $1 and agent_id = $2 and (expires_at is null or expires_at > $3)
        order by created_at, id
        """,
        agent.org_id,
        agent.id,
        at,
    )
    return tuple(found)


async def expire(tx: Transaction, agent: Agent, until: datetime, at: datetime) -> None:
    """End the secrets of a locked agent then, or before as it was. Refused(TooManyCredentials) without room for another."""
    await tx.execute(
        """
        update identity.credentials set expires_at = $3
        where org_id = $1 and agent_id = $2 and (expires_at is null or expires_at > $3)
        """,
        agent.org_id,
        agent.id,
        until,
    )
    if len(await of_agent(tx, agent, at)) >= CREDENTIALS:
        raise Refused(TooManyCredentials(most=CREDENTIALS))


async def revoke(tx: Transaction, agent: Agent, credential_id: UUID) -> None:
    """Refused(CredentialNotFound)."""
    gone = await tx.execute(
        "delete from identity.credentials where org_id = $1 and agent_id = $2 and id = $3",
        agent.org_id,
        agent.id,
        credential_id,
    )
    if not gone:
        raise Refused(CredentialNotFound(credential_id=credential_id))
