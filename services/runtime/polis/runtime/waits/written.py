"""What the flushes of runs say of waits: opened, closed by a run's end, and runs that rest until one is brought."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from polis.db import new_id
from polis.runtime.children import ends
from polis.runtime.shell.records import ended
from polis.runtime.waits import kinds, rows

if TYPE_CHECKING:
    from polis.db import Transaction
    from polis.runtime.shell.records import Flush, Rest


def touched(flush: Flush) -> bool:
    """Whether `write` has anything to do for it."""
    return bool(
        flush.opened or flush.closed or flush.rest is not None or (flush.waits and ended(flush.run.state))
    )


async def write(tx: Transaction, flushes: Sequence[tuple[UUID, Flush]]) -> None:
    """Flushes (with their org) of runs whose rows this transaction has locked and found to be the owner's own."""
    opened = [(org, f.run.id, new_id(), o) for org, f in flushes for o in f.opened]
    if opened:
        await kinds.opened(tx, await rows.insert(tx, opened))
    dropped = [(org, f.run.id, *place) for org, f in flushes for place in f.closed]
    if dropped:
        await kinds.closed(tx, await rows.close(tx, dropped), "dropped")
    over = [(org, f.run.id) for org, f in flushes if f.waits and ended(f.run.state)]
    if over:
        await kinds.closed(tx, await rows.close_all(tx, over), "ended")
        await ends.abandon(tx, over)
    resting = [(org, f.run.id, f.rest) for org, f in flushes if f.rest is not None]
    if resting:
        await _lay_down(tx, resting)


async def _lay_down(tx: Transaction, resting: Sequence[tuple[UUID, UUID, Rest]]) -> None:
    # The counter stands in the row itself: a statement that waited for its lock sees the row as it is now, and nothing
    # else of what was committed meanwhile.
    await tx.execute(
        """
        update runtime.runs r set owner = null, lost = 0, wake_at = case
            when f.paused <> (r.paused_at is not null) then clock_timestamp()
            when f.paused then 'infinity'
            when r.completions > f.heard then clock_timestamp()
            else f.until end
        from unnest($1::uuid[], $2::uuid[], $3::integer[], $4::timestamptz[], $5::boolean[])
            as f (org_id, id, heard, until, paused)
        where r.org_id = f.org_id and r.id = f.id and r.ended_at is null
        """,
        [org_id for org_id, _, _ in resting],
        [run_id for _, run_id, _ in resting],
        [rest.heard for _, _, rest in resting],
        [rest.until for _, _, rest in resting],
        [rest.paused for _, _, rest in resting],
    )
