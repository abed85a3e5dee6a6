"""Waits as the database has them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from polis.runtime.engine import item as items

if TYPE_CHECKING:
    from polis.db import Tenant, Transaction
    from polis.runtime.engine.requests import Open


class Opening(Struct, frozen=True):
    """A wait that a run's flush opens."""

    node: str
    item: str
    kind: str
    name: str
    due_s: float | None
    due_at: datetime | None
    late: bytes
    data: bytes
    undo: bytes | None = None


class OpenWait(Struct, frozen=True):
    """A wait that nobody has closed. `data` is the JSON that its step gave it."""

    id: UUID
    org_id: UUID
    run_id: UUID
    node: str
    item: str
    kind: str
    name: str
    due_at: datetime | None
    data: bytes
    created_at: datetime


def opening(asked: Open) -> Opening:
    """What is written of an activation that waits."""
    wait, (node, item) = asked.wait, asked.activation.place
    return Opening(
        node=node,
        item=items.text(item),
        kind=wait.kind,
        name=wait.name,
        due_s=wait.due_s,
        due_at=wait.due_at,
        late=asked.late,
        data=asked.data,
        undo=asked.undo,
    )


async def insert(tx: Transaction, opened: Sequence[tuple[UUID, UUID, UUID, Opening]]) -> list[OpenWait]:
    """Open waits (org, run, the wait's id, what it is) of runs whose rows this transaction has locked.

    Those that were not open before: a run that is repeated opens its waits again, and they count from the first time. One
    that was closed without an outcome, with the graph in the graph that it was in, is a new one when that is tried again.
    """
    return await tx.rows(
        OpenWait,
        """
        insert into runtime.waits (org_id, run_id, id, node, item, kind, name, due_at, late, data, undo)
        select org_id, run_id, id, node, item, kind, name,
            coalesce(due_at, clock_timestamp() + make_interval(secs => due_s)), late, data, undo
        from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[],
            $8::timestamptz[], $9::float8[], $10::bytea[], $11::bytea[], $12::bytea[])
            as w (org_id, run_id, id, node, item, kind, name, due_at, due_s, late, data, undo)
        on conflict (org_id, run_id, node, item) do update set id = excluded.id, kind = excluded.kind,
            name = excluded.name, due_at = excluded.due_at, late = excluded.late, data = excluded.data, undo = excluded.undo,
            created_at = excluded.created_at, closed_at = null
            where waits.closed_at is not null and not exists (
                -- Without `offset` the whole journal may be read and hashed.
                select from runtime.journal j where j.org_id = excluded.org_id and j.run_id = excluded.run_id
                    and j.node = excluded.node and j.item = excluded.item offset 0)
        returning id, org_id, run_id, node, item, kind, name, due_at, data, created_at
        """,
        [org_id for org_id, _, _, _ in opened],
        [run_id for _, run_id, _, _ in opened],
        [wait_id for _, _, wait_id, _ in opened],
        [o.node for _, _, _, o in opened],
        [o.item for _, _, _, o in opened],
        [o.kind for _, _, _, o in opened],
        [o.name for _, _, _, o in opened],
        [o.due_at for _, _, _, o in opened],
        [o.due_s for _, _, _, o in opened],
        [o.late for _, _, _, o in opened],
        [o.data for _, _, _, o in opened],
        [o.undo for _, _, _, o in opened],
    )


async def close(tx: Transaction, places: Sequence[tuple[UUID, UUID, str, str]]) -> list[OpenWait]:
    """Close waits (org, run, node, item) without an outcome. Those that were open."""
    return await tx.rows(
        OpenWait,
        """
        update runtime.waits w set closed_at = clock_timestamp()
        from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[]) as p (org_id, run_id, node, item)
        where w.org_id = p.org_id and w.run_id = p.run_id and w.node = p.node and w.item = p.item
            and w.closed_at is null
        returning w.id, w.org_id, w.run_id, w.node, w.item, w.kind, w.name, w.due_at, w.data, w.created_at
        """,
        [org_id for org_id, _, _, _ in places],
        [run_id for _, run_id, _, _ in places],
        [node for _, _, node, _ in places],
        [item for _, _, _, item in places],
    )


async def close_all(tx: Transaction, runs: Sequence[tuple[UUID, UUID]]) -> list[OpenWait]:
    """Close what runs (org, id) still wait for, because they have ended. What was open."""
    return await tx.rows(
        OpenWait,
        """
        update runtime.waits w set closed_at = clock_timestamp()
        from unnest($1::uuid[], $2::uuid[]) as r (org_id, run_id)
        where w.org_id = r.org_id and w.run_id = r.run_id and w.closed_at is null
        returning w.id, w.org_id, w.run_id, w.node, w.item, w.kind, w.name, w.due_at, w.data, w.created_at
        """,
        [org_id for org_id, _ in runs],
        [run_id for _, run_id in runs],
    )


class _Place(Struct, frozen=True):
    node: str
    item: str
    undo: bytes | None


async def places(tx: Transaction, run_id: UUID) -> dict[tuple[str, items.Item], bytes | None]:
    """Where a run waits, by node and item, and by what that will be undone."""
    found = await tx.rows(
        _Place,
        "select node, item, undo from runtime.waits where org_id = $1 and run_id = $2 and closed_at is null",
        tx.org_id,
        run_id,
    )
    return {(place.node, items.parse(place.item)): place.undo for place in found}


async def get(db: Tenant | Transaction, wait_id: UUID) -> OpenWait | None:
    """An open wait of the org."""
    return await db.row(
        OpenWait,
        """
        select id, org_id, run_id, node, item, kind, name, due_at, data, created_at
        from runtime.waits where org_id = $1 and id = $2 and closed_at is null
        """,
        db.org_id,
        wait_id,
    )


async def of_run(db: Tenant | Transaction, run_id: UUID, kind: str, name: str) -> list[OpenWait]:
    """What a run waits for under this kind and name, in the order in which it began to."""
    return await db.rows(
        OpenWait,
        """
        select id, org_id, run_id, node, item, kind, name, due_at, data, created_at
        from runtime.waits where org_id = $1 and run_id = $2 and kind = $3 and name = $4 and closed_at is null
        order by created_at, node, item
        """,
        db.org_id,
        run_id,
        kind,
        name,
    )


async def by_name(db: Tenant | Transaction, kind: str, name: str, *, limit: int = 100) -> list[OpenWait]:
    """Who in the org waits under this kind and name, the longest waiting first."""
    return await db.rows(
        OpenWait,
        """
        select id, org_id, run_id, node, item, kind, name, due_at, data, created_at
        from runtime.waits where org_id = $1 and kind = $2 and name = $3 and num_nulls(closed_at) = 1
        order by created_at, run_id, node, item limit $4
        """,
        db.org_id,
        kind,
        name,
        limit,
    )
