"""Which numbers of the outbox a relay has seen: all up to `high`, but for gaps, which transactions under way may still fill.

Numbers are given before the commit, so a lower one may come into sight after a higher one, and those of an undone
transaction never do. A gap is closed when every transaction has ended that was under way after it was noticed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SETTLE_S = 2.0
"""How long a gap is looked at before it is asked which transactions are under way: one that has just taken its number
may not have a transaction id yet."""


class Gap(Struct, frozen=True):
    """Numbers that have not been seen, both ends included."""

    first: int
    last: int
    before_seq: int
    """What stands in the stream up to here was published before the gap was noticed."""
    noticed_at: float
    until_xid: int | None = None
    """No transaction below this one may fill it once all of those have ended."""


class Horizon(Struct, frozen=True):
    """`gaps` are in the order of their numbers."""

    high: int = 0
    gaps: tuple[Gap, ...] = ()

    @property
    def low(self) -> int:
        """Up to here nothing is missing that may still come."""
        return self.gaps[0].first - 1 if self.gaps else self.high

    def low_seq(self, last_seq: int) -> int:
        """Every event above `low` that is in the stream stands behind this place."""
        return min((gap.before_seq for gap in self.gaps), default=last_seq)

    def passed(self, numbers: Sequence[int], *, before_seq: int, now: float) -> Self:
        """These numbers, in their order, have been seen."""
        high, gaps = self.high, list(self.gaps)
        for n in numbers:
            if n > high:
                if n > high + 1:
                    gaps.append(Gap(high + 1, n - 1, before_seq, now))
                high = n
            else:
                gaps = [part for gap in gaps for part in _without(gap, n)]
        return type(self)(high, tuple(gaps))

    def settled(self, *, xmin: int, xmax: int, found: Iterable[int], now: float) -> Self:
        """Without the gaps that nobody can fill any more.

        xmin, xmax: of the snapshot in which only `found` was seen of the gaps: every transaction below `xmin` had ended,
        none of `xmax` or above had begun.
        """
        filled = sorted(found)
        kept = []
        for gap in self.gaps:
            closed = gap.until_xid is not None and xmin >= gap.until_xid
            if closed and not any(gap.first <= n <= gap.last for n in filled):
                continue
            ripe = gap.until_xid is None and now - gap.noticed_at >= SETTLE_S
            kept.append(msgspec.structs.replace(gap, until_xid=xmax) if ripe else gap)
        return type(self)(self.high, tuple(kept))


def _without(gap: Gap, n: int) -> list[Gap]:
    if not gap.first <= n <= gap.last:
        return [gap]
    sides = ((gap.first, n - 1), (n + 1, gap.last))
    return [msgspec.structs.replace(gap, first=first, last=last) for first, last in sides if first <= last]
