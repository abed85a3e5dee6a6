"""What differs between two versions, within what one message of the bus can carry."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from polis import graph
from polis.proto.catalog import Comparison, Difference

if TYPE_CHECKING:
    from polis.proto.catalog import Version

_MAX_CHANGES = 2000
_MAX_BYTES = 512 * 1024
"""Bytes of changes as JSON; beyond, the values are left out."""


async def compare(base: Version, version: Version) -> Comparison:
    """What turns `base` into `version`, found off the event loop."""
    return await asyncio.to_thread(_compare, base, version)


def _compare(base: Version, version: Version) -> Comparison:
    found = graph.differences(base.content, version.content)
    changes = [Difference(d.op, d.path, d.value, d.old) for d in found[:_MAX_CHANGES]]
    complete = len(changes) == len(found)
    if len(msgspec.json.encode(changes)) > _MAX_BYTES:
        changes, complete = _without_values(changes), False
    return Comparison(version.resource_id, base.number, version.number, tuple(changes), complete)


def _without_values(changes: list[Difference]) -> list[Difference]:
    """The places alone, as many as there is room for: keys may be long too."""
    kept, room = list[Difference](), _MAX_BYTES
    for change in changes:
        place = Difference(change.op, change.path)
        room -= len(msgspec.json.encode(place)) + 1
        if room < 0:
            break
        kept.append(place)
    return kept
