"""Going back: to before an applied set, or to what every environment used at a moment."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.catalog.changes import engine, sets, state
from polis.proto import Refused
from polis.proto.catalog import (
    MAX_CHANGES,
    MAX_SET_BYTES,
    Change,
    ChangedSince,
    ChangeSetTooLarge,
    RemovedSince,
    ResourceType,
)

if TYPE_CHECKING:
    from datetime import datetime

    from polis.catalog.access import Viewer
    from polis.db import Transaction
    from polis.proto.catalog import ChangeSet

_NAMED = 20
"""Resources that a refusal names."""


class _Pointer(Struct, frozen=True):
    resource_id: UUID
    type: ResourceType | None
    key: str | None
    environment: str
    number: int | None
    current: int | None


async def undo(tx: Transaction, viewer: Viewer, found: ChangeSet, *, by: UUID, at: datetime) -> None:
    """Make what an applied set touched as it was before. Refused(ChangedSince) when it was touched again."""
    effects = await sets.effects(tx, found)
    names = [(effect.type, effect.key) for effect in effects]
    now = await engine.look(tx, viewer, names, by=by, at=at)
    digests = {name: None if held is None else state.digest(held) for name, held in now.items()}
    touched = [f"{e.type}/{e.key}" for e in effects if digests[e.type, e.key] != e.after]
    if touched:
        raise Refused(ChangedSince(resources=tuple(touched[:_NAMED])))
    back: list[Change] = []
    for effect in effects:
        back += _back(effect, now[effect.type, effect.key])
    await engine.make(tx, viewer, back, by=by, at=at)


def _back(effect: sets.Effect, now: list[Change] | None) -> list[Change]:
    """The changes that make a resource as it was."""
    if effect.before is None:
        return [] if now is None else [Change("remove", now[0].type, now[0].key)]
    before = msgspec.json.decode(effect.before, type=list[Change])
    kept = {change.environment for change in before}
    ended = [change for change in now or () if change.environment not in kept]
    return before + [
        Change("deactivate", change.type, change.key, environment=change.environment) for change in ended
    ]


async def pointers_at(
    tx: Transaction, org_id: UUID, moment: datetime, *, without_removed: bool
) -> list[Change]:
    """What makes every environment use again what it used then. Refused(RemovedSince) or ChangeSetTooLarge."""
    moved = await _moved(tx, org_id, moment)
    if len(moved) > MAX_CHANGES:
        raise Refused(ChangeSetTooLarge(max_changes=MAX_CHANGES, max_bytes=MAX_SET_BYTES))
    removed = sorted({pointer.resource_id for pointer in moved if pointer.key is None})
    if removed and not without_removed:
        raise Refused(RemovedSince(resource_ids=tuple(removed[:_NAMED])))
    return [_move(pointer) for pointer in moved if pointer.key is not None]


def _move(pointer: _Pointer) -> Change:
    assert pointer.type is not None  # noqa: S101 - a resource that has a key has a type
    assert pointer.key is not None  # noqa: S101
    if pointer.number is None:
        return Change("deactivate", pointer.type, pointer.key, environment=pointer.environment)
    return Change(
        "activate", pointer.type, pointer.key, environment=pointer.environment, number=pointer.number
    )


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
