"""Mails to people for whom messages wait: how many there are, and where. What they say is in none of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from polis.db import Transaction

_TTL = timedelta(days=1)


class About(Struct, frozen=True):
    """What a mail is about."""

    conversation_id: UUID
    unread: int


def about_of(stored: bytes) -> About:
    return msgspec.json.decode(stored, type=About)


async def address(tx: Transaction, principal_id: UUID) -> str | None:
    """Where a member of the org gets mail; None for whom there is no place, as for an agent."""
    found: str | None = await tx.value(
        """
        select a.email
        from identity.memberships m join identity.accounts a on a.id = m.account_id and a.suspended_at is null
        where m.org_id = $1 and m.account_id = $2
        """,
        tx.org_id,
        principal_id,
    )
    return found


async def put(tx: Transaction, mail_id: UUID, email: str, about: About, at: datetime) -> None:
    """Have it written, across orgs: once, however often the event that says so arrives."""
    await tx.execute(
        """
        insert into identity.mails (id, kind, email, created_at, expires_at, due_at, about)
        values ($1, 'unread', $2, $3, $4, $3, $5)
        on conflict (id) do nothing
        """,
        mail_id,
        email,
        at,
        at + _TTL,
        msgspec.json.encode(about),
    )
