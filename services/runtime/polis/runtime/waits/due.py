"""What is due: completed with what it holds for that, by whichever process comes first, by the database's clock."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from polis.proto import Refused
from polis.runtime.waits.complete import Completed, Outcome, complete_all
from polis.runtime.waits.rows import OpenWait
from polis.telemetry import log

if TYPE_CHECKING:
    from polis.db import Database, Transaction

AT_ONCE = 500
"""Waits completed in one transaction."""
_AGAIN_S = 30.0
"""What cannot be completed is left for so long, so that it holds up nothing behind it."""


async def complete_due(database: Database) -> tuple[list[Completed], float]:
    """Complete what is due; the runs that go on, and how many seconds until more is due.

    Runs that another process has in hand are passed over: it does the same, or a later turn finds them again.
    """
    async with database.across_orgs() as tx:
        due = await _due(tx)
        if due:
            completed = await complete_all(tx, [Outcome(wait, None) for wait in due], "due")
            if completed:
                return completed, 0.0
        next_s: float | None = await tx.value(
            """
            select extract(epoch from min(due_at) - clock_timestamp())::float8
            from runtime.waits where closed_at is null and due_at > statement_timestamp()
            """
        )
    return [], math.inf if next_s is None else next_s


async def complete_singly(database: Database) -> list[Completed]:
    """Complete what is due, each in a transaction of its own: one that cannot be completed holds no other up."""
    async with database.across_orgs() as tx:
        due = await _due(tx)
    completed: list[Completed] = []
    for wait in due:
        try:
            async with database.across_orgs() as tx:
                done = await complete_all(tx, [Outcome(wait, None)], "due")
        except Refused:
            raise
        except Exception as error:  # noqa: BLE001 - a defect of ours, or of who added to this kind
            log.error("wait.stuck", kind=wait.kind, run_id=str(wait.run_id), node=wait.node, exc_info=error)
            await _put_off(database, wait)
        else:
            completed += done
    return completed


async def _put_off(database: Database, wait: OpenWait) -> None:
    async with database.across_orgs() as tx:
        await tx.execute(
            """
            update runtime.waits w set due_at = clock_timestamp() + make_interval(secs => $3)
            where w.org_id = $1 and w.id = $2 and w.closed_at is null and w.due_at <= clock_timestamp()
            """,
            wait.org_id,
            wait.id,
            _AGAIN_S,
        )


async def _due(tx: Transaction) -> list[OpenWait]:
    return await tx.rows(
        OpenWait,
        """
        select w.id, w.org_id, w.run_id, w.node, w.item, w.kind, w.name, w.due_at, w.data, w.created_at
        from runtime.waits w join runtime.runs r on r.org_id = w.org_id and r.id = w.run_id
        where w.closed_at is null and w.due_at <= statement_timestamp() and r.ended_at is null
        order by w.due_at limit $1 for update of r skip locked
        """,
        AT_ONCE,
    )
