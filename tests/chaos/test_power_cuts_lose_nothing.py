"""G2. The power of the broker's and the database's disks is cut: no acknowledged write is lost, nothing is done by hand."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from polis.testing import Stage
from polis.testing.servers import postgres_server
from tests.chaos.flow import Flow
from tests.chaos.volume import Volume

RECONCILED_S = 30.0
BROKER, DATABASE, BOTH = {"nats"}, {"postgres"}, {"nats", "postgres"}


class Powered:
    """A flow whose servers lie on volumes of their own."""

    def __init__(self, flow, volumes):
        self.flow, self._volumes = flow, volumes

    async def cut(self, which):
        """Cut the power of these servers at this instant, then start them as after a reboot."""
        await asyncio.gather(
            *(asyncio.to_thread(self._volumes[name].cut) for name in which)
        )  # while all write
        postgres, nats = self.flow.postgres, self.flow.nats
        if "nats" in which:
            nats.kill()
        if "postgres" in which:
            postgres.kill()
            await postgres.stop()
        for name in which:
            await self._volumes[name].restore()
        if "postgres" in which:
            await postgres.start(postgres.port)
        if "nats" in which:
            await nats.start()


@pytest.fixture
async def powered(tmp_path, quick_redelivery):
    volumes = {name: Volume(tmp_path, name) for name in sorted(BOTH)}
    async with AsyncExitStack() as stack:
        for volume in volumes.values():
            stack.push_async_callback(volume.end)
            volume.make()
        server = await stack.enter_async_context(postgres_server(volumes["postgres"].place, durable=True))
        stage = await stack.enter_async_context(Stage(server, broker_in=volumes["nats"].place / "nats"))
        if stage.nats.embedded is None:
            pytest.skip("POLIS_TEST_NATS_URL names a server that is not ours to cut off")
        flow = await stack.enter_async_context(Flow(stage, server, tmp_path))
        yield Powered(flow, volumes)


async def test_no_acknowledged_write_is_lost_in_a_power_cut(powered, dice, full):
    flow = powered.flow
    flow.start("relay")
    await flow.keep("inbox")
    some = 500 if full else 60
    cuts = [dice.choice((BROKER, DATABASE, BOTH)) for _ in range(17)] if full else []
    for which in (BOTH, *((BROKER, DATABASE) if full else ()), *cuts):
        async with flow.writing():
            await flow.more(dice.randint(some, 4 * some))
            await flow.has_recorded(1)
            await powered.cut(which)
            await flow.more(some)
        await flow.settled(within_s=RECONCILED_S)

    print(flow.history.summary(), "epoch", await flow.epoch())
    assert await flow.check() == {}, flow.history.summary()
    assert await flow.epoch() > 1
