"""The wheel of deadlines."""

from __future__ import annotations

import asyncio
from time import monotonic

from hypothesis import given
from hypothesis import strategies as st

from polis.bus.timers import TICK_S, Wheel
from polis.testing import eventually


@given(st.lists(st.tuples(st.floats(0, 30), st.integers(0, 40)), max_size=30))
async def test_every_deadline_is_noticed_once_and_never_early(waits):
    """On a clock of our own; the wheel turns as late as that says."""
    now, due = 0.0, {}
    wheel: Wheel[int] = Wheel(lambda value: due.__setitem__(value, now), clock=lambda: now)
    ends = {}

    for value, (timeout_s, lag) in enumerate(waits):
        ends[value] = now + timeout_s
        wheel.add(value, timeout_s)
        now += lag * TICK_S / 4
        wheel._turn()
    while now < 60:
        now += 10 * TICK_S
        wheel._turn()

    wheel.stop()
    assert due.keys() == ends.keys()
    assert all(ends[value] <= at <= ends[value] + 12 * TICK_S for value, at in due.items())


async def test_what_was_taken_out_is_not_due():
    due: list[str] = []
    wheel = Wheel(due.append)
    first, second = wheel.add("first", 0.05), wheel.add("second", 0.05)

    assert (wheel.pop(first), wheel.pop(first), len(wheel)) == ("first", None, 1)
    await eventually(lambda: due)

    assert (due, wheel.pop(second), len(wheel)) == (["second"], None, 0)


async def test_the_timer_rests_while_nothing_waits():
    over = asyncio.Event()
    wheel: Wheel[int] = Wheel(lambda _: over.set())
    started = monotonic()
    wheel.add(1, 0.03)
    await over.wait()

    assert monotonic() - started >= 0.03
    assert wheel._timer is None
