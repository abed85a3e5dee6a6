"""Rounds go on: when woken, after what a turn says, and through whatever a turn fails with."""

from __future__ import annotations

import asyncio

import pytest

from polis.proto import Refused
from polis.proto.problems import Forbidden, Unavailable
from polis.service.rounds import each_by_itself, rounds

OUTAGE = Refused(Unavailable(dependency="postgresql"))


async def those(said, **settings):
    """Have turns that end in what is said, each; the time at which each began, of one that nobody wakes the last."""
    began, done = [], asyncio.Event()

    async def turn():
        began.append(asyncio.get_running_loop().time())
        outcome = said[len(began) - 1] if len(began) <= len(said) else done.set()
        outcome = outcome() if callable(outcome) else outcome
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    task = asyncio.create_task(rounds("a test", turn, **{"every_s": 60.0} | settings))
    async with asyncio.timeout(30):
        await done.wait()
    task.cancel()
    await asyncio.wait([task])
    return began


async def test_a_turn_is_done_again_at_once_when_it_says_so_or_was_woken_meanwhile_or_before_long_when_woken():
    wake = asyncio.Event()

    def soon():
        asyncio.get_running_loop().call_soon(wake.set)

    began = await those([0.0, wake.set, soon], wake=wake)

    assert len(began) == 4
    assert not wake.is_set()  # cleared before the turn that it led to: what comes during that one wakes again


async def test_what_wakes_it_within_a_while_leads_to_one_turn():
    wake = asyncio.Event()

    def twice():
        loop = asyncio.get_running_loop()
        loop.call_soon(wake.set)
        loop.call_later(0.01, wake.set)

    first, second = await those([twice], wake=wake, together_s=0.03)

    assert second - first > 0.02
    assert not wake.is_set()


async def test_trouble_is_told_once_a_kind_and_waited_out_whatever_it_is(told):
    await those([OUTAGE, OUTAGE, ValueError("a defect"), OUTAGE, 0.0, OUTAGE], every_s=0.001)

    assert [line["event"].removeprefix("round.") for line in told] == [
        "postponed",
        "failed",
        "resumed",
        "postponed",
        "resumed",
    ]
    assert {line["what"] for line in told} == {"a test"}
    assert [line.get("failed") for line in told] == [None, None, 4, None, 1]


async def test_one_thing_that_fails_is_put_off_and_the_others_are_done(told):
    done, off = [], []
    outcomes = {1: RuntimeError("a defect"), 3: Refused(Forbidden(scope="x")), 5: OUTAGE}

    async def do(one):
        if one in outcomes:
            raise outcomes[one]
        done.append(one)

    async def put_off(one):
        off.append(one)

    with pytest.raises(Refused, match="does not answer"):
        await each_by_itself("a test", range(7), do, put_off, id_of=lambda one: f"n{one}")

    assert (done, off) == ([0, 2, 4], [1, 3])
    assert [(line["event"], line["id"]) for line in told] == [("due.broken", "n1"), ("due.broken", "n3")]
