"""An org's resources as the changes that make them, on pages that fit into a message of the bus."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from polis.catalog.changes import state
from polis.catalog.changes.sets import PAGE_BYTES

if TYPE_CHECKING:
    from polis.catalog.access import Viewer
    from polis.db import Tenant
    from polis.proto.catalog import Change

_AT_ONCE = 8
"""Resources that are read together: each may come to megabytes."""


class Position(Struct, frozen=True, order=True):
    """Where an export continues: behind this change of this resource. A draft comes before its environments."""

    type: str = ""
    key: str = ""
    environment: str = ""


async def page(db: Tenant, viewer: Viewer, after: Position, limit: int) -> tuple[list[Change], bool]:
    """Changes behind a position, up to `limit` and to PAGE_BYTES, but one at least; and whether there are more."""
    found: list[Change] = []
    room = PAGE_BYTES
    at = after
    while True:
        rows = await state.page(db, viewer, at.type, at.key, _AT_ONCE + 1)
        for changes in await state.states(db, viewer.org_id, rows[:_AT_ONCE]):
            for change in changes:
                if position(change) <= after:
                    continue
                room -= len(msgspec.json.encode(change))
                if found and (room < 0 or len(found) == limit):
                    return found, True
                found.append(change)
        if len(rows) <= _AT_ONCE:
            return found, False
        at = Position(rows[-1].type, rows[-1].key)


def position(change: Change) -> Position:
    return Position(change.type, change.key, change.environment or "")
