"""What time does to turns that nobody decides, and to holders that do not answer. By any process."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from polis.messaging import access
from polis.messaging.conversations import rows as conversations
from polis.messaging.conversations.turn import Turn
from polis.messaging.turns import deciding, rows
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
    conversation_id: UUID
    seq: int


async def keep(database: Database, telling: Telling, hold_s: float) -> None:
    """Look for what is due for as long as the process lives: one look at an index a turn."""
    await rounds("turns", lambda: sweep(database, telling, hold_s), every_s=TURN_S)


async def sweep(database: Database, telling: Telling, hold_s: float) -> float | None:
    """Do what is due about some turns; at once again when there may be more."""
    async with database.across_orgs() as tx:
        due = await tx.rows(
            _Due,
            """
            select t.org_id, t.conversation_id, t.seq from messaging.turns t
            where t.due_at <= clock_timestamp() order by t.due_at limit $1
            """,
            _AT_ONCE,
        )
    await each_by_itself(
        "turns",
        due,
        lambda each: _advance(database, telling, hold_s, each),
        lambda each: _put_off(database, each),
        id_of=lambda each: f"{each.conversation_id}/{each.seq}",
    )
    return 0.0 if len(due) == _AT_ONCE else None


async def _advance(database: Database, telling: Telling, hold_s: float, due: _Due) -> None:
    async with database.transaction([due.org_id]) as tx:
        await access.lock_rows(tx, due.org_id, [due.conversation_id])
        turn = await rows.get(tx, due.conversation_id, due.seq)
        at = datetime.now(UTC)
        # It may have been answered, or another process have done this, meanwhile.
        if turn is None or turn.due_at is None or turn.due_at > at:
            return
        [row] = await conversations.locked(tx, [due.conversation_id])
        actor_id = turn.holder_id or turn.claims[0].principal_id
        told = Turn(tx, telling, row, actor_id=actor_id, at=at)
        await deciding.advance(told, turn, hold_s)
        await told.close()


async def _put_off(database: Database, due: _Due) -> None:
    async with database.transaction([due.org_id]) as tx:
        await tx.execute(
            """
            update messaging.turns t set due_at = clock_timestamp() + make_interval(secs => $4)
            where t.org_id = $1 and t.conversation_id = $2 and t.seq = $3 and t.due_at <= clock_timestamp()
            """,
            due.org_id,
            due.conversation_id,
            due.seq,
            _AGAIN_S,
        )
