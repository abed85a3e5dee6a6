"""Going back to before an applied set: all that it changed is as it was, unless it was changed since."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from polis.catalog.changes import engine, sets, state
from polis.proto import Refused
from polis.proto.catalog import Change, ChangedSince

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from polis.catalog.access import Viewer
    from polis.db import Transaction
    from polis.javascript import Pool
    from polis.proto.catalog import ChangeSet

_NAMED = 20
"""Resources that a refusal names."""


async def undo(
    tx: Transaction, viewer: Viewer, found: ChangeSet, scripts: Pool, *, by: UUID, at: datetime
) -> engine.Made:
    """Make what an applied set touched as it was before. Refused(ChangedSince) when it was touched again."""
    effects = await sets.effects(tx, found)
    names = [(effect.type, effect.key) for effect in effects]
    now, _ = await engine.look(tx, viewer, names, by=by, at=at)
    digests = {name: None if held is None else state.digest(held) for name, held in now.items()}
    touched = [f"{e.type}/{e.key}" for e in effects if digests[e.type, e.key] != e.after]
    if touched:
        raise Refused(ChangedSince(resources=tuple(touched[:_NAMED])))
    back: list[Change] = []
    for effect in effects:
        back += _back(effect, now[effect.type, effect.key])
    return await engine.make(tx, viewer, back, scripts, by=by, at=at)


def _back(effect: sets.Effect, now: list[Change] | None) -> list[Change]:
    """The changes that make a resource as it was."""
    if effect.before is None:
        return [] if now is None else [Change("remove", now[0].type, now[0].key)]
    return to(msgspec.json.decode(effect.before, type=list[Change]), now)


def to(before: list[Change], now: list[Change] | None) -> list[Change]:
    """The changes that lead from one state of a resource to another, which it had before."""
    kept = {change.environment for change in before}
    ended = [change for change in now or () if change.environment not in kept]
    return before + [
        Change("deactivate", change.type, change.key, environment=change.environment) for change in ended
    ]
