"""What runs tell of themselves: a wait whose opening writes the value down and is its end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.proto import runtime
from polis.runtime.waits import Kind, OpenWait, register
from polis.runtime.waits.complete import Outcome, complete_all

if TYPE_CHECKING:
    from polis.db import Tenant, Transaction

KIND = "status"


class _Row(Struct, frozen=True):
    name: str
    value: bytes
    told_at: datetime


async def of_run(db: Tenant, run_id: UUID) -> tuple[runtime.RunStatus, ...]:
    """The last value of each name, by name."""
    rows = await db.rows(
        _Row,
        "select name, value, told_at from runtime.statuses where org_id = $1 and run_id = $2 order by name",
        db.org_id,
        run_id,
    )
    return tuple(runtime.RunStatus(row.name, msgspec.json.decode(row.value), row.told_at) for row in rows)


async def _opened(tx: Transaction, waits: Sequence[OpenWait]) -> None:
    last = {(w.org_id, w.run_id, w.name): w for w in waits}
    await tx.execute(
        """
        insert into runtime.statuses (org_id, run_id, name, value, told_at)
        select org_id, run_id, name, value, clock_timestamp()
        from unnest($1::uuid[], $2::uuid[], $3::text[], $4::bytea[]) as s (org_id, run_id, name, value)
        on conflict (org_id, run_id, name) do update set value = excluded.value, told_at = excluded.told_at
        """,
        [w.org_id for w in last.values()],
        [w.run_id for w in last.values()],
        [w.name for w in last.values()],
        [w.data for w in last.values()],
    )
    await complete_all(tx, [Outcome(w, None) for w in waits], "completed")


register(KIND, Kind(opened=_opened))
