"""Cancelling a run that has done what can be undone: it has no owner any more, and whoever takes it up undoes."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from polis.proto.runtime import Run, RunError
from polis.runtime.children import ends
from polis.runtime.engine import item as items
from polis.runtime.engine.activation import Failure, Recorded
from polis.runtime.engine.undoing import END
from polis.runtime.waits import kinds, rows

if TYPE_CHECKING:
    from polis.db import Transaction


async def begin(tx: Transaction, run: Run, at_ms: int, why: RunError | None) -> Run | None:
    """Have a locked run undone before it ends, if there is anything to undo; None where there is not."""
    if not await _is_undoable(tx, run.id):
        return None
    failure = None if why is None else Failure(why.kind, why.message, step=why.step)
    verdict = Recorded(ended="cancelled", failure=failure, at_ms=at_ms)
    certain = await tx.execute(
        """
        insert into runtime.journal (org_id, run_id, node, item, body) values ($1, $2, $3, $4, $5)
        on conflict do nothing
        """,
        tx.org_id,
        run.id,
        END[0],
        items.text(END[1]),
        msgspec.json.encode(verdict),
    )
    if not certain:
        return run  # it is being undone already, for whatever reason
    await tx.execute(
        """
        update runtime.runs set owner = null, lost = 0, wake_at = clock_timestamp(), paused_at = null,
            state = case when state = 'paused' then 'waiting' else state end
        where org_id = $1 and id = $2
        """,
        tx.org_id,
        run.id,
    )
    await kinds.closed(tx, await rows.close_all(tx, [(tx.org_id, run.id)]), "ended")
    await ends.abandon(tx, [(tx.org_id, run.id)])
    return msgspec.structs.replace(run, state="waiting") if run.state == "paused" else run


async def _is_undoable(tx: Transaction, run_id: UUID) -> bool:
    """Whether the journal has an outcome that its graph says how to undo: only such a one has a number."""
    found = await tx.value(
        """
        select position('"compensate":'::bytea in p.content) > 0 and exists (
            select from runtime.journal j
            where j.org_id = r.org_id and j.run_id = r.id and position('"nth":'::bytea in j.body) > 0
        )
        from runtime.runs r join runtime.programs p on p.org_id = r.org_id and p.digest = r.program
        where r.org_id = $1 and r.id = $2
        """,
        tx.org_id,
        run_id,
    )
    return bool(found)
