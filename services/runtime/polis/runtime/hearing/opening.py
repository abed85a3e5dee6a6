"""A wait for an event begins with its run's flush and ends with the wait, whoever ends it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID
from weakref import WeakSet

import msgspec

from polis.runtime.engine.activation import Failure, Recorded
from polis.runtime.hearing import rows
from polis.runtime.hearing.rows import KIND, MOST_ALIKE, MOST_OF_ORG, Sought
from polis.runtime.waits import Kind, OpenWait, register
from polis.runtime.waits.complete import Outcome, complete_all

if TYPE_CHECKING:
    from polis.db import Transaction
    from polis.runtime.waits.kinds import Why

_sought = msgspec.json.Decoder(Sought)
_TOO_MANY = msgspec.json.encode(
    Recorded(
        failure=Failure(
            "event.too_many",
            f"{MOST_ALIKE:,} wait for the same, or {MOST_OF_ORG:,} in the org: these are the most",
        )
    )
)
begun: WeakSet[asyncio.Event] = WeakSet()
"""Set when waits have begun in this process."""


async def _opened(tx: Transaction, waits: Sequence[OpenWait]) -> None:
    """Those for which there is no room have failed."""
    places: defaultdict[tuple[UUID, str, str], list[tuple[OpenWait, Sought]]] = defaultdict(list)
    for wait in waits:
        sought = _sought.decode(wait.data)
        places[wait.org_id, wait.name, sought.entity].append((wait, sought))
    room = await rows.room(tx, list(places))
    fit = [each for place, those in places.items() for each in those[: max(0, room[place])]]
    over = [wait for place, those in places.items() for wait, _ in those[max(0, room[place]) :]]
    if fit:
        await rows.insert(tx, fit)
        tx.after_commit(_wake)
    if over:
        await complete_all(tx, [Outcome(wait, _TOO_MANY) for wait in over], "completed")


async def _closed(tx: Transaction, waits: Sequence[OpenWait], why: Why) -> None:
    if why == "completed":
        await rows.close(tx, waits)
    else:
        await rows.drop(tx, waits)


def _wake() -> None:
    for event in begun:
        event.set()


register(KIND, Kind(opened=_opened, closed=_closed))
