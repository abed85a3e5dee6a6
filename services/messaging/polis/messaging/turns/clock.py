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
from polis.service.rounds import rounds

if TYPE_CHECKING:
    from polis.db import Database
    from polis.messaging.telling import Telling

TURN_S = 1.0
_AT_ONCE = 100


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
    for each in due:
        async with database.transaction([each.org_id]) as tx:
            await access.lock_rows(tx, each.org_id, [each.conversation_id])
            turn = await rows.get(tx, each.conversation_id, each.seq)
            at = datetime.now(UTC)
            # It may have been answered, or another process have done this, meanwhile.
            if turn is None or turn.due_at is None or turn.due_at > at:
                continue
            [row] = await conversations.locked(tx, [each.conversation_id])
            actor_id = turn.holder_id or turn.claims[0].principal_id
            told = Turn(tx, telling, row, actor_id=actor_id, at=at)
            await deciding.advance(told, turn, hold_s)
            await told.close()
    return 0.0 if len(due) == _AT_ONCE else None
