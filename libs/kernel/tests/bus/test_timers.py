"""The wheel of deadlines."""

from __future__ import annotations

import asyncio
from time import monotonic

from hypothesis import given
from hypothesis import strategies as st

from polis.bus.timers import TICK_S, Wheel

from .conftest import eventually


@given(st.lists(st.tuples(st.floats(0, 30), st.integers(0, 40)), max_size=30))
async def test_every_deadline_is_noticed_once_and_never_early(waits):
    """On a clock of our own; the wheel turns as late as that says."""
    now, due = 0.0, {}
    wheel = Wheel(lambda key: due.__setitem__(key, now), clock=lambda: now)
    ends = {}

    for key, (timeout_s, lag) in enumerate(waits):
        ends[key] = now + timeout_s
        wheel.add(key, timeout_s)
        now += lag * TICK_S / 4
        wheel._turn()
    while now < 60:
        now += 10 * TICK_S
        wheel._turn()

    wheel.stop()
    assert due.keys() == ends.keys()
    assert all(ends[key] <= at <= ends[key] + 12 * TICK_S for key, at in due.items())


async def test_a_key_that_was_taken_out_is_not_due():
    due: list[int] = []
    wheel = Wheel(due.append)
    wheel.add(2, 0.05)
    del wheel.add(1, 0.05)[1]

    await eventually(lambda: due)

    assert due == [2]


async def test_the_timer_rests_while_nothing_waits():
    over = asyncio.Event()
    wheel = Wheel(lambda _: over.set())
    started = monotonic()
    wheel.add(1, 0.03)
    await over.wait()

    assert monotonic() - started >= 0.03
    assert wheel._timer is None
