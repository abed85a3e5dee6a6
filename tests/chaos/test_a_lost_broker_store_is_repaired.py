"""G4, and the portable part of G2. The broker's store is wiped, or comes back older: the relay repairs it by itself."""

from __future__ import annotations

import shutil

import pytest


class Older:
    """The store as it was at an earlier time, as after a power cut that took its tail."""

    def __init__(self, flow, folder):
        self._flow, self._copy = flow, folder / "older"

    async def remember(self):
        await self._flow.nats.stop()
        shutil.rmtree(self._copy, ignore_errors=True)
        shutil.copytree(self._flow.nats.store, self._copy)
        await self._flow.nats.start()

    async def restore(self, *, with_consumers=True):
        """Without them, they alone are as they were in the end: they are written down more often than messages."""
        store = self._flow.nats.store
        if with_consumers:
            self._flow.nats.kill()
        else:
            await self._flow.nats.stop()
        kept = {} if with_consumers else {path.relative_to(store): path for path in store.rglob("obs")}
        for number, path in enumerate(kept.values()):
            shutil.move(path, self._copy.with_name(f"obs-{number}"))
        self._flow.nats.wipe()
        shutil.copytree(self._copy, store)
        for number, path in enumerate(kept):
            shutil.rmtree(store / path, ignore_errors=True)
            shutil.move(self._copy.with_name(f"obs-{number}"), store / path)


async def test_a_wiped_store_is_filled_again_under_load(flow, dice, full):
    flow.start("relay")
    flow.start("inbox")
    some = 1000 if full else 100
    for cycle in range(5 if full else 1):
        async with flow.writing():
            await flow.more(dice.randint(some, 2 * some))
            await flow.has_recorded(1)
            flow.nats.kill()
            flow.nats.wipe()
            await flow.more(some)
            await flow.nats.start()
            await flow.more(some)
        await flow.settled(within_s=60)
        await flow.repaired(epoch=cycle + 2)

    assert flow.history.count("ok") == flow.sent, flow.history.summary()
    assert await flow.check() == {}, flow.history.summary()


async def test_a_store_that_lost_its_tail_gets_it_again_under_load(flow, dice, full, tmp_path):
    older = Older(flow, tmp_path)
    flow.start("relay")
    flow.start("inbox")
    some = 1000 if full else 100
    for cycle in range(5 if full else 1):
        async with flow.writing():
            await flow.more(dice.randint(some, 2 * some))
            await older.remember()
            await flow.has_recorded(await flow.stored_count() + 1)
            await flow.more(dice.randint(some, 2 * some))
            await older.restore()
            await flow.nats.start()
            await flow.more(some)
        await flow.settled(within_s=60)
        await flow.repaired(epoch=cycle + 2)

    assert flow.history.count("ok") == flow.sent, flow.history.summary()
    assert await flow.check() == {}, flow.history.summary()


@pytest.mark.parametrize("tail", [False, True], ids=["wiped", "tail lost"])
async def test_a_store_is_repaired_although_nothing_new_is_written(tail, flow, tmp_path):
    older = Older(flow, tmp_path)
    flow.start("relay")
    if tail:
        async with flow.writing():
            await flow.more(30)
        await flow.published()
        await older.remember()
    async with flow.writing():
        await flow.more(60)
    await flow.published()
    if tail:
        await older.restore()
    else:
        flow.nats.kill()
        flow.nats.wipe()
    await flow.nats.start()

    await flow.repaired(epoch=2, within_s=30)

    assert await flow.check_stream() == {}


async def test_what_is_told_at_places_that_were_lost_is_heard_by_who_had_read_beyond_them(flow, tmp_path):
    older = Older(flow, tmp_path)
    flow.start("relay")
    flow.start("inbox")
    await flow.emitted(30)
    await flow.settled()
    await older.remember()
    await flow.emitted(60)
    await flow.settled()
    await flow.consumed(within_s=10)

    await older.restore(with_consumers=False)
    unheard = flow.nats.start()
    await flow.emitted(40)
    await unheard

    await flow.settled()
    assert await flow.check() == {}, flow.history.summary()
