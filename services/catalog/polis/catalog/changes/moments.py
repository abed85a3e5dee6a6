"""Going back to a moment: every environment uses again what it used then, and what sets changed since is as they found it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.catalog.changes import engine, state, undo
from polis.proto import Refused
from polis.proto.catalog import (
    MAX_CHANGES,
    MAX_SET_BYTES,
    Change,
    ChangeSetTooLarge,
    RemovedSince,
    ResourceType,
)

if TYPE_CHECKING:
    from datetime import datetime

    from polis.catalog.access import Viewer
    from polis.db import Transaction

_NAMED = 20
"""Resources that a refusal names."""
_AT_ONCE = 20
"""Resources that are compared together: each may come to megabytes."""


class _Pointer(Struct, frozen=True):
    resource_id: UUID
    type: ResourceType | None
    key: str | None
    environment: str
    number: int | None
    current: int | None


class _Earlier(Struct, frozen=True):
    """How the first set after a moment that touched a resource found it; `[]` when it was not there."""

    type: str
    key: str
    resource_id: UUID | None
    before: str


async def back_to(
    tx: Transaction, viewer: Viewer, moment: datetime, *, without_removed: bool
) -> list[Change]:
    """The changes that lead back. Refused(RemovedSince) or ChangeSetTooLarge.

    Removed by a set is made again from what that kept; removed by hand is gone with its versions.
    """
    earlier = await _earlier(tx, viewer.org_id, moment)
    changes: list[Change] = []
    for n in range(0, len(earlier), _AT_ONCE):
        changes += await _as_found(tx, viewer, earlier[n : n + _AT_ONCE], moment)
    pointers = await _moved(tx, viewer.org_id, moment)
    if len(changes) + len(pointers) > MAX_CHANGES:
        raise _too_large()
    removed = sorted({p.resource_id for p in pointers if p.key is None} - {e.resource_id for e in earlier})
    if removed and not without_removed:
        raise Refused(RemovedSince(resource_ids=tuple(removed[:_NAMED])))
    # What is removed or made again is told with its environments.
    told = {(change.type, change.key) for change in changes if change.action != "put"}
    return changes + [move for move in map(_move, pointers) if move and (move.type, move.key) not in told]


async def _as_found(tx: Transaction, viewer: Viewer, earlier: list[_Earlier], at: datetime) -> list[Change]:
    """What makes these resources as sets found them, where they are not."""
    names = [(found.type, found.key) for found in earlier]
    now, ids = await engine.look(tx, viewer, names, by=viewer.principal_id, at=at)
    changes: list[Change] = []
    for found, name in zip(earlier, names, strict=True):
        before = msgspec.json.decode(found.before, type=list[Change])
        changes += _told(before, now[name], same=found.resource_id in (None, ids.get(name)))
    return changes


def _told(before: list[Change], now: list[Change] | None, *, same: bool) -> list[Change]:
    """From now to before. same: it is still that resource, whose history tells of its environments to the moment."""
    if not before:
        return [] if now is None else [Change("remove", now[0].type, now[0].key)]
    if now is None or not same:
        return undo.to(before, now)
    return before[:1] if state.digest(before[:1]) != state.digest(now[:1]) else []


def _move(pointer: _Pointer) -> Change | None:
    if pointer.type is None or pointer.key is None:
        return None
    if pointer.number is None:
        return Change("deactivate", pointer.type, pointer.key, environment=pointer.environment)
    return Change(
        "activate", pointer.type, pointer.key, environment=pointer.environment, number=pointer.number
    )


def _too_large() -> Refused:
    return Refused(ChangeSetTooLarge(max_changes=MAX_CHANGES, max_bytes=MAX_SET_BYTES))


async def _earlier(tx: Transaction, org_id: UUID, moment: datetime) -> list[_Earlier]:
    """Each resource that a set touched since, being applied or undone, as the first of them found it."""
    found = await tx.rows(
        _Earlier,
        """
        with touched as (
            select distinct on (t.type, t.key) t.type, t.key, t.resource_id, t.set_id, t.undoing
            from (
                select e.type, e.key, e.resource_id, e.set_id, false as undoing, s.applied_at as at
                from catalog.change_sets s
                join catalog.effects e on e.org_id = s.org_id and e.set_id = s.id
                where s.org_id = $1 and s.applied_at > $2
                union all
                select e.type, e.key, e.resource_id, e.set_id, true, s.undone_at
                from catalog.change_sets s
                join catalog.effects e on e.org_id = s.org_id and e.set_id = s.id
                where s.org_id = $1 and s.undone_at > $2 and e.before_undo is not null
            ) t
            order by t.type, t.key, t.at
        ), sized as (
            select t.type, t.key, t.resource_id,
                case when t.undoing then e.before_undo else coalesce(e.before, '[]') end as before
            from touched t
            join catalog.effects e on e.org_id = $1 and e.set_id = t.set_id and e.type = t.type and e.key = t.key
        )
        select q.type, q.key, q.resource_id, q.before from (
            select z.type, z.key, z.resource_id, z.before,
                sum(octet_length(z.before)) over (order by z.type, z.key) as bytes
            from sized z
        ) q
        where q.bytes <= $3 + octet_length(q.before)
        order by q.type, q.key limit $4
        """,
        org_id,
        moment,
        MAX_SET_BYTES,
        MAX_CHANGES + 1,
    )
    if len(found) > MAX_CHANGES or sum(len(earlier.before.encode()) for earlier in found) > MAX_SET_BYTES:
        raise _too_large()
    return found


async def _moved(tx: Transaction, org_id: UUID, moment: datetime) -> list[_Pointer]:
    """Every pointer that was somewhere else then, and what it pointed to; at most one more than a set may hold."""
    return await tx.rows(
        _Pointer,
        """
        select h.resource_id, r.type, r.key, h.environment, t.number, a.number as current
        from (
            select distinct o.resource_id, o.environment from catalog.activation_history o
            where o.org_id = $1 and o.activated_at > $2
        ) h
        left join lateral (
            select b.number from catalog.activation_history b
            where b.org_id = $1 and b.resource_id = h.resource_id and b.environment = h.environment
                and b.activated_at <= $2
            order by b.change desc limit 1
        ) t on true
        left join catalog.resources r on r.org_id = $1 and r.id = h.resource_id
        left join catalog.activations a
            on a.org_id = $1 and a.resource_id = h.resource_id and a.environment = h.environment
        where t.number is distinct from a.number
        order by r.type, r.key, h.resource_id, h.environment limit $3
        """,
        org_id,
        moment,
        MAX_CHANGES + 1,
    )
