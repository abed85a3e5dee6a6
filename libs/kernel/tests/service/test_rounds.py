"""Rounds go on: when woken, after what a turn says, and through an outage."""

from __future__ import annotations

import asyncio

from polis.proto import Refused
from polis.proto.problems import Unavailable
from polis.runtime.rounds import rounds


async def test_a_turn_is_done_again_when_woken_after_what_it_says_and_after_an_outage():
    wake, fourth, turns = asyncio.Event(), asyncio.Event(), []

    async def turn():
        turns.append(None)
        match len(turns):
            case 1:
                return 0.0
            case 2:
                raise Refused(Unavailable(dependency="postgresql"))
            case 3:
                asyncio.get_running_loop().call_soon(wake.set)
            case 4:
                fourth.set()
        return None

    task = asyncio.create_task(rounds("a test", turn, every_s=60, wake=wake, again_s=0.0))
    async with asyncio.timeout(30):
        await fourth.wait()
    task.cancel()
    await asyncio.wait([task])

    assert not wake.is_set()  # cleared before the turn that it led to: what comes during that one wakes again
