"""What a relay has seen of the numbers of the outbox, whatever order they come into sight in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from polis.db.horizon import SETTLE_S, Gap, Horizon


def missing(horizon):
    return {n for gap in horizon.gaps for n in range(gap.first, gap.last + 1)}


@given(st.lists(st.integers(1, 60), unique=True), st.integers(1, 7))
def test_it_misses_what_it_has_not_seen_below_what_it_has(numbers, size):
    horizon = Horizon()
    for first in range(0, len(numbers), size):
        horizon = horizon.passed(sorted(numbers[first : first + size]), before_seq=first, now=0.0)

    high = max(numbers, default=0)
    assert horizon.high == high
    assert missing(horizon) == set(range(1, high + 1)) - set(numbers)
    assert horizon.low == min(missing(horizon), default=high + 1) - 1
    behind = numbers[horizon.low_seq(len(numbers)) :]
    assert {n for n in numbers if n > horizon.low} <= set(behind)


def test_a_gap_is_closed_when_all_have_ended_who_were_under_way_after_it_was_noticed():
    noticed = Horizon().passed([2], before_seq=0, now=0.0)

    def look(horizon, *, xmin, xmax, now, found=()):
        return horizon.settled(xmin=xmin, xmax=xmax, found=found, now=now)

    young = look(noticed, xmin=90, xmax=100, now=SETTLE_S / 2)
    asked = look(young, xmin=90, xmax=100, now=SETTLE_S)
    under_way = look(asked, xmin=99, xmax=120, now=9.0)
    filled = look(under_way, xmin=100, xmax=120, now=9.0, found=[1])
    closed = look(under_way, xmin=100, xmax=120, now=9.0)

    assert young.gaps == noticed.gaps
    assert [gap.until_xid for gap in asked.gaps] == [100]
    assert asked == under_way == filled
    assert (closed.gaps, closed.low) == ((), 2)


def test_numbers_within_a_gap_leave_its_sides_open():
    horizon = Horizon(9, (Gap(1, 8, 0, 0.0),)).passed([1, 4, 8], before_seq=7, now=1.0)

    assert [(gap.first, gap.last, gap.before_seq) for gap in horizon.gaps] == [(2, 3, 0), (5, 7, 0)]
