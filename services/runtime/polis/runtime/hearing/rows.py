"""Waits for events as the database has them: open ones by what they wait for, and what their steps have taken before."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.runtime.waits import OpenWait

if TYPE_CHECKING:
    from polis.db import Tenant, Transaction

KIND = "event"
MOST_OF_ORG = 10_000
"""Waits for events that an org has open at a time."""
MOST_ALIKE = 1_000
"""Those of them for one type and entity: an event is held against each."""
AHEAD_S = 10.0
"""For so long nobody else looks at what was told before the waits that somebody has taken."""
AT_ONCE = 200


class Sought(Struct, frozen=True):
    """What a step waits for, besides the event's type. item: the message, where there is a condition."""

    entity: str
    condition: str
    item: object
    since_s: float


class Listener(Struct, frozen=True):
    """An open wait, as far as hearing goes. `id` is the wait's. looked: at what was told before it was followed."""

    org_id: UUID
    run_id: UUID
    id: UUID
    event: str
    entity: str
    condition: str
    item: bytes
    since: datetime
    after_seq: int
    looked: bool


class _Room(Struct, frozen=True):
    org_id: UUID
    event: str
    entity: str
    of_org: int
    alike: int


async def room(tx: Transaction, places: Sequence[tuple[UUID, str, str]]) -> dict[tuple[UUID, str, str], int]:
    """How many more may wait for these (org, event, entity); counted no further than to the bounds."""
    counted = await tx.rows(
        _Room,
        """
        select p.org_id, p.event, p.entity, o.n as of_org, a.n as alike
        from unnest($1::uuid[], $2::text[], $3::text[]) as p (org_id, event, entity)
        cross join lateral (select count(*)::integer as n from (
            select from runtime.event_waits w where w.org_id = p.org_id and w.open limit $4) as l) as o
        cross join lateral (select count(*)::integer as n from (
            select from runtime.event_waits w where w.org_id = p.org_id and w.event = p.event
                and w.entity = p.entity and w.open limit $5) as l) as a
        """,
        [org_id for org_id, _, _ in places],
        [event for _, event, _ in places],
        [entity for _, _, entity in places],
        MOST_OF_ORG,
        MOST_ALIKE,
    )
    return {(r.org_id, r.event, r.entity): min(MOST_OF_ORG - r.of_org, MOST_ALIKE - r.alike) for r in counted}


async def insert(tx: Transaction, opened: Sequence[tuple[OpenWait, Sought]]) -> None:
    """Waits that begin now, by the database's clock."""
    await tx.execute(
        """
        insert into runtime.event_waits (org_id, run_id, node, event, entity, id, condition, item, since, after_seq)
        select w.org_id, w.run_id, w.node, w.event, w.entity, w.id, w.condition, w.item,
            clock_timestamp() - make_interval(secs => w.since_s), coalesce((
                select max(t.taken_seq) from runtime.event_waits t where t.org_id = w.org_id and t.run_id = w.run_id
                    and t.node = w.node and t.event = w.event and t.entity = w.entity), 0)
        from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::uuid[], $7::text[], $8::bytea[],
            $9::float8[]) as w (org_id, run_id, node, event, entity, id, condition, item, since_s)
        """,
        [wait.org_id for wait, _ in opened],
        [wait.run_id for wait, _ in opened],
        [wait.node for wait, _ in opened],
        [wait.name for wait, _ in opened],
        [sought.entity for _, sought in opened],
        [wait.id for wait, _ in opened],
        [sought.condition for _, sought in opened],
        [msgspec.json.encode(sought.item) for _, sought in opened],
        [sought.since_s for _, sought in opened],
    )


async def listening(db: Tenant, event: str, entity: str, at: datetime, seq: int) -> list[Listener]:
    """Who in the org an event may be for that was told at this moment: one look at an index, bounded."""
    return await db.rows(
        Listener,
        """
        select w.org_id, w.run_id, w.id, w.event, w.entity, w.condition, w.item, w.since, w.after_seq,
            w.look_at is null as looked
        from runtime.event_waits w
        where w.org_id = $1 and w.event = $2 and w.entity = any($3::text[]) and w.open and w.since <= $4
            and w.after_seq < $5
        order by w.id limit $6
        """,
        db.org_id,
        event,
        ["", entity],
        at,
        seq,
        2 * MOST_ALIKE,
    )


class _Acting(Struct, frozen=True):
    """Whom the run of a wait acts as."""

    id: UUID
    actor_id: UUID


async def actors(db: Tenant, waits: Sequence[Listener]) -> dict[UUID, UUID]:
    """Whom the runs of these act as, by the wait."""
    found = await db.rows(
        _Acting,
        """
        -- For each of them by the index: without `offset` all runs of the org may be gone through.
        select w.id, r.actor_id from unnest($2::uuid[], $3::uuid[]) as w (id, run_id) cross join lateral (
            select s.actor_id from runtime.runs s where s.org_id = $1 and s.id = w.run_id offset 0) as r order by w.id
        """,
        db.org_id,
        [wait.id for wait in waits],
        [wait.run_id for wait in waits],
    )
    return {each.id: each.actor_id for each in found}


async def open_waits(tx: Transaction, waits: Sequence[Listener]) -> list[OpenWait]:
    return await tx.rows(
        OpenWait,
        """
        select w.id, w.org_id, w.run_id, w.node, w.item, w.kind, w.name, w.due_at, w.data, w.created_at
        from unnest($1::uuid[], $2::uuid[]) as l (org_id, id) cross join lateral (
            select o.* from runtime.waits o where o.id = l.id and o.org_id = l.org_id and o.closed_at is null offset 0
        ) as w order by w.id
        """,
        [wait.org_id for wait in waits],
        [wait.id for wait in waits],
    )


async def close(tx: Transaction, waits: Sequence[OpenWait]) -> None:
    """Nobody hears for them any more; that they were there is kept until it is known what they have taken."""
    await tx.execute(
        """
        update runtime.event_waits e set open = false, look_at = null
        from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::uuid[]) as w (org_id, run_id, node, event, id)
        where e.org_id = w.org_id and e.run_id = w.run_id and e.node = w.node and e.event = w.event and e.id = w.id
        """,
        *_named(waits),
    )


async def drop(tx: Transaction, waits: Sequence[OpenWait]) -> None:
    await tx.execute(
        """
        delete from runtime.event_waits e
        using unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::uuid[]) as w (org_id, run_id, node, event, id)
        where e.org_id = w.org_id and e.run_id = w.run_id and e.node = w.node and e.event = w.event and e.id = w.id
        """,
        *_named(waits),
    )


async def took(tx: Transaction, waits: Sequence[OpenWait], seq: int) -> None:
    """An event at this place of its stream was brought to them: what their steps have taken before is forgotten."""
    await tx.execute(
        """
        with taken as (
            update runtime.event_waits e set taken_seq = $6
            from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::uuid[])
                as w (org_id, run_id, node, event, id)
            where e.org_id = w.org_id and e.run_id = w.run_id and e.node = w.node and e.event = w.event
                and e.id = w.id and not e.open and e.taken_seq is null
            returning e.org_id, e.run_id, e.node, e.event, e.entity
        )
        delete from runtime.event_waits e using (select distinct org_id, run_id, node, event, entity from taken) as t
        where e.org_id = t.org_id and e.run_id = t.run_id and e.node = t.node and e.event = t.event
            and e.entity = t.entity and e.taken_seq < $6
        """,
        *_named(waits),
        seq,
    )


def _named(waits: Sequence[OpenWait]) -> tuple[list[UUID], list[UUID], list[str], list[str], list[UUID]]:
    return (
        [wait.org_id for wait in waits],
        [wait.run_id for wait in waits],
        [wait.node for wait in waits],
        [wait.name for wait in waits],
        [wait.id for wait in waits],
    )


async def take_new(tx: Transaction) -> list[Listener]:
    """Waits for which what was told before is to be looked at; nobody else takes them meanwhile."""
    return await tx.rows(
        Listener,
        """
        with due as (
            select e.org_id, e.run_id, e.node, e.event, e.entity, e.id from runtime.event_waits e
            where e.look_at <= clock_timestamp() order by e.look_at limit $1 for update skip locked
        )
        update runtime.event_waits e set look_at = clock_timestamp() + make_interval(secs => $2)
        from due where e.org_id = due.org_id and e.run_id = due.run_id and e.node = due.node and e.event = due.event
            and e.entity = due.entity and e.id = due.id
        returning e.org_id, e.run_id, e.id, e.event, e.entity, e.condition, e.item, e.since, e.after_seq, false as looked
        """,
        AT_ONCE,
        AHEAD_S,
    )


async def looked(tx: Transaction, waits: Sequence[Listener], again_s: float | None) -> None:
    """What was told before them was looked at; or is to be, in so many seconds."""
    await tx.execute(
        """
        update runtime.event_waits e set look_at = clock_timestamp() + make_interval(secs => $6)
        from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::uuid[])
            as w (org_id, run_id, event, entity, id)
        where e.org_id = w.org_id and e.run_id = w.run_id and e.event = w.event and e.entity = w.entity
            and e.id = w.id and e.open
        """,
        [wait.org_id for wait in waits],
        [wait.run_id for wait in waits],
        [wait.event for wait in waits],
        [wait.entity for wait in waits],
        [wait.id for wait in waits],
        again_s,
    )
