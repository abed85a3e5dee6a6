"""Rows of notifications that are to be posted. Whoever takes one puts it off: who dies with it leaves it to another."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

if TYPE_CHECKING:
    from polis.db import Database, Transaction
    from polis.proto.messaging import NotificationDue

AT_ONCE = 16
FIRST_S = 30.0
"""Until the second try; each time twice as long. A try takes no longer than that."""


class Post(Struct, frozen=True):
    """A notification on its way, and the how manieth try this is."""

    org_id: UUID
    id: UUID
    principal_id: UUID
    conversation_id: UUID
    unread: int
    at: datetime
    tries: int


async def put(tx: Transaction, event: NotificationDue, at: datetime) -> None:
    await tx.execute(
        """
        insert into runtime.notification_posts (org_id, id, principal_id, conversation_id, unread, at, due_at)
        values ($1, $2, $3, $4, $5, $6, $6) on conflict (org_id, id) do nothing
        """,
        event.org_id,
        event.notification_id,
        event.principal_id,
        event.conversation_id,
        event.unread,
        at,
    )


async def take(database: Database) -> list[Post]:
    """Some of what is due, for this process to try."""
    async with database.across_orgs() as tx:
        return await tx.rows(
            Post,
            """
            with due as (
                select p.org_id, p.id from runtime.notification_posts p
                where p.due_at <= clock_timestamp() order by p.due_at limit $1 for update skip locked
            )
            update runtime.notification_posts p set tries = p.tries + 1,
                due_at = clock_timestamp() + make_interval(secs => $2 * power(2, least(p.tries, 16)))
            from due where p.org_id = due.org_id and p.id = due.id
            returning p.org_id, p.id, p.principal_id, p.conversation_id, p.unread, p.at, p.tries
            """,
            AT_ONCE,
            FIRST_S,
        )


async def done(database: Database, post: Post) -> None:
    """It has arrived, or will not."""
    async with database.across_orgs() as tx:
        await tx.execute(
            "delete from runtime.notification_posts where org_id = $1 and id = $2", post.org_id, post.id
        )
