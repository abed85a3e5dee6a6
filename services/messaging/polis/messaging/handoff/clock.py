"""What time does to handoffs: what nobody claims expires, and what is held for too long goes back. By any process."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from polis.messaging import access
from polis.messaging.conversations import rows as conversations
from polis.messaging.conversations.turn import Turn
from polis.messaging.handoff import passing, rows
from polis.service.rounds import each_by_itself, rounds

if TYPE_CHECKING:
    from polis.db import Database
    from polis.messaging.telling import Telling

TURN_S = 1.0
_AT_ONCE = 100
_AGAIN_S = 30.0
"""What could not be done is left for so long, so that it holds up nothing behind it."""


class _Due(Struct, frozen=True):
    org_id: UUID
    id: UUID
    conversation_id: UUID


async def keep(database: Database, telling: Telling) -> None:
    """Look for what is due for as long as the process lives: one look at an index a turn."""
    await rounds("handoffs", lambda: sweep(database, telling), every_s=TURN_S)


async def sweep(database: Database, telling: Telling) -> float | None:
    """Do what is due about some handoffs; at once again when there may be more."""
    async with database.across_orgs() as tx:
        due = await tx.rows(
            _Due,
            """
            select h.org_id, h.id, h.conversation_id from messaging.handoffs h
            where h.due_at <= clock_timestamp() and h.state in ('waiting', 'claimed') order by h.due_at limit $1
            """,
            _AT_ONCE,
        )
    await each_by_itself(
        "handoffs",
        due,
        lambda each: _expire(database, telling, each),
        lambda each: _put_off(database, each),
        id_of=lambda each: each.id,
    )
    return 0.0 if len(due) == _AT_ONCE else None


async def _expire(database: Database, telling: Telling, due: _Due) -> None:
    async with database.transaction([due.org_id]) as tx:
        await access.lock_rows(tx, due.org_id, [due.conversation_id])
        handoff = await rows.get(tx, due.id)
        at = datetime.now(UTC)
        # Somebody may have claimed it, or another process have done this, meanwhile.
        if handoff is None or handoff.due_at is None or handoff.due_at > at:
            return
        [row] = await conversations.locked(tx, [due.conversation_id])
        turn = Turn(tx, telling, row, actor_id=handoff.by, at=at)
        await passing.expire(turn, handoff)
        await turn.close()


async def _put_off(database: Database, due: _Due) -> None:
    async with database.transaction([due.org_id]) as tx:
        await tx.execute(
            """
            update messaging.handoffs h set due_at = clock_timestamp() + make_interval(secs => $3)
            where h.org_id = $1 and h.id = $2 and h.due_at <= clock_timestamp() and h.state in ('waiting', 'claimed')
            """,
            due.org_id,
            due.id,
            _AGAIN_S,
        )
