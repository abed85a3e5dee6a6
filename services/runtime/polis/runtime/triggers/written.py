"""The rows of effective triggers: written as an activation names them, ended when it does not any more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.db import new_id
from polis.proto.runtime import WhyNot
from polis.proto.trigger import OnEvent, OnMessage, OnRunEnd, Schedule, TriggerSpec
from polis.runtime.triggers.following import ENDS, POSTED
from polis.runtime.triggers.slots import following

if TYPE_CHECKING:
    from polis.db import Transaction
    from polis.proto.catalog import Effective

KEEP_FIRINGS_DAYS = 10
"""Longer than any event is kept, or any post may be repeated."""
KEEP_ENDED_DAYS = 90
"""A trigger that comes back within this time has its id, and so its address, again."""


class Source(Struct, frozen=True):
    """An activation that is to be read, and the mark under which it was."""

    org_id: UUID
    resource_id: UUID
    environment: str
    stale: UUID


class Wanted(Struct, frozen=True):
    """A trigger as it is to be: who its runs act as, and why it could not fire now."""

    name: str
    spec: TriggerSpec
    acts_as: UUID | None
    fault: WhyNot | None


class Known(Struct, frozen=True):
    id: UUID
    name: str
    spec: bytes
    slot_at: datetime | None
    ended_at: datetime | None
    paused_at: datetime | None


async def forget(tx: Transaction) -> None:
    """Delete what is of no use any more: what was fired for long ago, and triggers that ended long ago."""
    await tx.execute(
        "delete from runtime.firings where fired_at < clock_timestamp() - make_interval(days => $1)",
        KEEP_FIRINGS_DAYS,
    )
    await tx.execute(
        """
        delete from runtime.trigger_talks
        where heard_at < clock_timestamp() - make_interval(days => $1) and due_at is null
            and turn_at is null
        """,
        KEEP_FIRINGS_DAYS,
    )
    await tx.execute(
        "delete from runtime.triggers where ended_at < clock_timestamp() - make_interval(days => $1)",
        KEEP_ENDED_DAYS,
    )


async def settle(tx: Transaction, source: Source, effective: Effective | None, *, named: bool) -> bool:
    """Clear the mark; false when there is another one by now. What names no trigger is not remembered."""
    if named and effective is not None:
        touched = await tx.execute(
            """
            update runtime.trigger_sources set number = $5, stale = null, due_at = null, tries = 0
            where org_id = $1 and resource_id = $2 and environment = $3 and stale = $4
            """,
            source.org_id,
            source.resource_id,
            source.environment,
            source.stale,
            effective.number,
        )
        return touched == 1
    known = await tx.execute(
        """
        update runtime.trigger_sources set number = null, stale = null, due_at = null, tries = 0
        where org_id = $1 and resource_id = $2 and environment = $3 and stale = $4
        """,
        source.org_id,
        source.resource_id,
        source.environment,
        source.stale,
    )
    # A deprecated graph keeps its row: when it is reinstated, its triggers are to be found.
    await tx.execute(
        """
        delete from runtime.trigger_sources s
        where s.org_id = $1 and s.resource_id = $2 and s.environment = $3 and s.stale is null and s.number is null
            and not exists (
                select from runtime.triggers t where t.org_id = $1 and t.resource_id = $2 and t.environment = $3)
        """,
        source.org_id,
        source.resource_id,
        source.environment,
    )
    return known == 1


async def known(tx: Transaction, source: Source) -> list[Known]:
    return await tx.rows(
        Known,
        """
        select t.id, t.name, t.spec, t.slot_at, t.ended_at, t.paused_at from runtime.triggers t
        where t.org_id = $1 and t.resource_id = $2 and t.environment = $3 order by t.name for update
        """,
        source.org_id,
        source.resource_id,
        source.environment,
    )


async def end(tx: Transaction, source: Source, kept: Sequence[str]) -> None:
    await tx.execute(
        """
        update runtime.triggers set ended_at = clock_timestamp(), due_at = null, slot_at = null, pending = null,
            pending_id = null, pending_seq = null, pending_since = null
        where org_id = $1 and resource_id = $2 and environment = $3 and name <> all($4::text[]) and ended_at is null
        """,
        source.org_id,
        source.resource_id,
        source.environment,
        list(kept),
    )


async def put(
    tx: Transaction, effective: Effective, wanted: Wanted, known: Known | None, now: datetime
) -> None:
    """Write a trigger. One that is known keeps its id, whether it is paused, and what it has done."""
    spec, slot = msgspec.json.encode(wanted.spec), _slot(wanted.spec, known, now)
    paused = known is not None and known.paused_at is not None
    await tx.execute(
        """
        insert into runtime.triggers as t (org_id, id, resource_id, environment, name, graph, number, kind, spec,
            activated_by, scopes, acts_as, listens, slot_at, due_at, error)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
        on conflict (org_id, resource_id, environment, name) do update set graph = excluded.graph,
            number = excluded.number, kind = excluded.kind, spec = excluded.spec,
            activated_by = excluded.activated_by, scopes = excluded.scopes, acts_as = excluded.acts_as, listens = excluded.listens,
            slot_at = excluded.slot_at,
            due_at = case when excluded.kind = 'event' and t.pending is not null then t.due_at else excluded.due_at end,
            pending = case when excluded.kind = 'event' then t.pending end,
            pending_id = case when excluded.kind = 'event' then t.pending_id end,
            pending_seq = case when excluded.kind = 'event' then t.pending_seq end,
            pending_since = case when excluded.kind = 'event' then t.pending_since end,
            error = excluded.error, ended_at = null
        """,
        effective.org_id,
        new_id(),
        effective.resource_id,
        effective.environment,
        wanted.name,
        effective.key,
        effective.number,
        kind_of(wanted.spec),
        spec,
        effective.activated_by,
        list(effective.scopes),
        wanted.acts_as,
        listens(wanted.spec),
        slot,
        None if paused else slot,
        None if wanted.fault is None else msgspec.json.encode(wanted.fault),
    )


def _slot(spec: TriggerSpec, known: Known | None, now: datetime) -> datetime | None:
    """The slot that a schedule waits for. The same schedule goes on where it stood, so none is lost by an activation."""
    if not isinstance(spec.on, Schedule):
        return None
    if known is not None and known.ended_at is None and known.slot_at is not None:
        before = msgspec.json.decode(known.spec, type=TriggerSpec).on
        if before == spec.on:
            return known.slot_at
    return following(spec.on, now)


def kind_of(spec: TriggerSpec) -> str:
    tag = type(spec.on).__struct_config__.tag
    return str(tag)


def listens(spec: TriggerSpec) -> list[str] | None:
    """The events that it may fire for."""
    match spec.on:
        case OnEvent(type=event):
            return [event]
        case OnRunEnd(states=states):
            return [ENDS[state] for state in states]
        case OnMessage():
            return [POSTED]
        case _:
            return None
