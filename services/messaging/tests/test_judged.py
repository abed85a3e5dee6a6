"""What one says goes on in the order in which it came, whoever gives up meanwhile."""

from __future__ import annotations

import asyncio

import pytest

from polis.messaging.messages.judged import Judged


@pytest.fixture
def judged():
    return Judged()


@pytest.fixture
def saying(judged):
    """Begins to judge what is said behind the rest; `said` is what was said by then."""
    said = []

    def begin(name, until=None):
        async def judge(place):
            await place.comes()
            if until is not None:
                await until.wait()
            said.append(name)

        return judged.go_on("here", judge)

    begin.said = said
    return begin


async def test_who_gives_up_before_their_turn_lets_nobody_pass_those_before_them(judged, saying):
    known = asyncio.Event()
    first = saying("first", known)
    second, third, fourth = (saying(name) for name in ("second", "third", "fourth"))
    await asyncio.sleep(0)
    for each in (second, fourth):
        each.cancel()
    await asyncio.wait([second, fourth])

    assert "here" in judged
    last = saying("last")
    known.set()
    await asyncio.wait([first, third, last], timeout=10)

    assert saying.said == ["first", "third", "last"]
    assert not judged


async def test_who_fails_holds_up_nobody_and_leaves_nothing_behind(judged, saying):
    never = asyncio.Event()
    first, last = saying("first", never), saying("last")
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first, last], timeout=10)

    assert saying.said == ["last"]
    assert not judged
