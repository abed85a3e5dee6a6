"""What else happens when a wait is opened or closed, by its kind: in the same transaction, so neither is without the other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Literal
from uuid import UUID

from msgspec import Struct

from polis.runtime.waits.rows import OpenWait

if TYPE_CHECKING:
    from polis.db import Transaction

Why = Literal["completed", "due", "dropped", "ended"]
"""Somebody brought the outcome; nobody did in time; nobody waits for it any more: a graph in the run's graph, or the run."""
Opened = Callable[["Transaction", Sequence[OpenWait]], Awaitable[None]]
Closed = Callable[["Transaction", Sequence[OpenWait], Why], Awaitable[None]]
Due = Callable[["Transaction", Sequence[OpenWait]], Awaitable[list[OpenWait]]]


class Kind(Struct, frozen=True):
    """What a kind of wait adds. All are called with the rows of runs that the transaction has locked, of any orgs.

    opened: they are new; it may complete them at once. closed: nobody waits for them any more. due: their time has come; those
    of them that are over, while the others are due later by now.
    """

    opened: Opened | None = None
    closed: Closed | None = None
    due: Due | None = None


_kinds: dict[str, Kind] = {}


def register(name: str, kind: Kind) -> None:
    """A kind that is not registered adds nothing."""
    _kinds[name] = kind


def may_be_closed(name: str) -> bool:
    """Whether a wait of this kind may be closed by what happens when it is opened."""
    kind = _kinds.get(name)
    return kind is not None and kind.opened is not None


async def opened(tx: Transaction, waits: Sequence[OpenWait]) -> None:
    for name, group in _by_kind(waits).items():
        kind = _kinds.get(name)
        if kind is not None and kind.opened is not None:
            await kind.opened(tx, group)


async def over(tx: Transaction, waits: Sequence[OpenWait]) -> set[UUID]:
    """Those (by id) of what is due that is over."""
    found: set[UUID] = set()
    for name, group in _by_kind(waits).items():
        kind = _kinds.get(name)
        asked = None if kind is None else kind.due
        found |= {wait.id for wait in (group if asked is None else await asked(tx, group))}
    return found


async def closed(tx: Transaction, waits: Sequence[OpenWait], why: Why) -> None:
    for name, group in _by_kind(waits).items():
        kind = _kinds.get(name)
        if kind is not None and kind.closed is not None:
            await kind.closed(tx, group, why)


def _by_kind(waits: Sequence[OpenWait]) -> dict[str, list[OpenWait]]:
    groups: defaultdict[str, list[OpenWait]] = defaultdict(list)
    for wait in waits:
        groups[wait.kind].append(wait)
    return groups
