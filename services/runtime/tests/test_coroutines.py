"""Starting a coroutine by hand must make no difference to what it sees."""

from __future__ import annotations

import asyncio

import pytest

from polis.runtime.shell.coroutines import start


async def test_one_that_never_waits_ends_at_once():
    done = []

    async def work():
        done.append(1)

    assert start(work()) is None
    assert done == [1]


async def test_one_that_waits_goes_on_in_a_task_with_what_it_waited_for():
    future = asyncio.get_running_loop().create_future()
    seen = []

    async def work():
        seen.append(await future)
        await asyncio.sleep(0)
        seen.append(2)

    rest = start(work())
    task = asyncio.get_running_loop().create_task(rest)
    await asyncio.sleep(0)
    future.set_result(1)
    await task

    assert seen == [1, 2]


async def test_errors_come_out_before_and_after_the_first_wait():
    async def at_once():
        raise ValueError

    async def later():
        await asyncio.sleep(0)
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - there is no text
        start(at_once())
    with pytest.raises(ValueError):  # noqa: PT011
        await start(later())


async def test_a_cancellation_reaches_it_and_it_cleans_up():
    seen = []

    async def work():
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise
        finally:
            seen.append("cleaned")

    task = asyncio.get_running_loop().create_task(start(work()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert seen == ["cancelled", "cleaned"]
