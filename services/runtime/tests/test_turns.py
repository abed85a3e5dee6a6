"""Turns on the event loop: what has happened to a run comes first, and those that compute on keep nobody waiting."""

from __future__ import annotations

import asyncio
import time

from polis.runtime.shell.turns import TURN_S, Turns
from polis.telemetry import current, trace


async def test_of_runs_that_compute_on_one_has_its_turn_before_whatever_else_waits():
    turns, taken = Turns(), []

    for number in range(3):
        turns.behind(lambda number=number: taken.append(number))

    for expected in ([0], [0, 1], [0, 1, 2]):
        await asyncio.sleep(0)
        assert taken == expected


async def test_what_has_happened_comes_first_for_as_long_as_a_turn_is():
    turns, taken = Turns(), []

    def long():
        time.sleep(TURN_S)
        taken.append("long")

    turns.behind(lambda: taken.append("behind"))
    for turn in (lambda: taken.append("short"), long, long):
        turns.soon(turn)
    await asyncio.sleep(0)

    assert taken == ["short", "long", "behind"]
    await asyncio.sleep(0)
    assert taken == ["short", "long", "behind", "long"]


async def test_a_turn_that_fails_keeps_no_other_from_its_own():
    turns, taken, told = Turns(), [], []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))

    turns.soon(lambda: taken.append(1 / 0))
    turns.soon(lambda: taken.append("the next"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert taken == ["the next"]
    assert [type(error) for error in told] == [ZeroDivisionError]


async def test_a_turn_belongs_to_the_trace_that_it_was_asked_for_in():
    turns, seen, own = Turns(), [], trace.start()

    with trace.enter(own):
        turns.soon(lambda: seen.append(current()))
    turns.soon(lambda: seen.append(current()))
    await asyncio.sleep(0)

    assert seen == [own, None]
