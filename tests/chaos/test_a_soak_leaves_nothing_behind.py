"""G24. People use every part of a mesh for a long time while replicas come and are ended or killed: nothing grows that has a bound,
and when they have gone each process holds what it held before."""

from __future__ import annotations

import asyncio
import itertools
import os
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

import pytest

from tests.chaos.dwellers import Dwellers
from tests.chaos.levels import WHOLE, at_rest, at_rest_again, grown
from tests.chaos.mesh import Mesh
from tests.chaos.samples import Part, Sampler

SERVICES = ("identity", "catalog", "messaging", "runtime", "gateway")
SETTINGS = {"gateway": {"sockets_per_principal": 1_000}}
HERE_S, GONE_S = 60.0, 30.0
"""How long a replica stays, and how long there is none."""
LATER, LATER_SHARE = 20, 0.02
"""What may be put off, by the death of a replica or by other work on the machine: so often, and a share of what is done."""


class Size(NamedTuple):
    """Seconds: of the load before it is looked at what is at rest, of the one that is measured, of that until caches are full."""

    people: int
    pause_s: float
    prime_s: float
    load_s: float
    full_after_s: float
    every_s: float
    rest_s: float


SMALL = Size(people=2, pause_s=0.2, prime_s=0.3, load_s=0.3, full_after_s=0.0, every_s=0.3, rest_s=20.0)
FULL = Size(
    people=8, pause_s=1.0, prime_s=300.0, load_s=7_200.0, full_after_s=1_200.0, every_s=20.0, rest_s=300.0
)


class Soak:
    """A mesh whose parts stay, and replicas of them that come and go. At the small size all are this process."""

    def __init__(self, size: Size, steady: dict[str, Part], gateway: int, mesh: Mesh | None) -> None:
        """gateway: the port of the one that stays."""
        self.size = size
        self.steady = steady
        self._gateway = gateway
        self._mesh = mesh
        self._second: list[int] = []

    def addresses(self) -> list[str]:
        ports = (self._gateway, *self._second)
        return [f"http://127.0.0.1:{port}" for port in ports]

    @asynccontextmanager
    async def replicas(self):
        """One of each service in turn, for as long as the block lasts."""
        going = asyncio.create_task(self._come_and_go())
        try:
            yield
            assert not going.done() or self._mesh is None, going
        finally:
            going.cancel()
            with suppress(asyncio.CancelledError):
                await going

    async def _come_and_go(self) -> None:
        for number, name in enumerate(itertools.cycle(SERVICES) if self._mesh else ()):
            try:
                process = await self._mesh.start(name, name="second", **SETTINGS.get(name, {}))
                self._second = [process.port] if name == "gateway" else []
                await asyncio.sleep(HERE_S)
                self._second = []
                if number // len(SERVICES) % 2 == 0:
                    code, _ = await process.terminate()
                    assert code == 0, process.last_words()
            finally:
                self._second = []
                self._mesh.processes["second"].end()
            await asyncio.sleep(GONE_S)


@pytest.fixture
async def soak(own_stage, full, postgres, tmp_path):
    if not full:
        for name in SERVICES:
            await own_stage.start(name)
        port = own_stage.running["gateway"].port
        yield Soak(SMALL, {WHOLE: Part(os.getpid(), port)}, port, None)
        return
    async with Mesh(own_stage, postgres, tmp_path) as mesh:
        for name in SERVICES:
            await mesh.start(name, **SETTINGS.get(name, {}))
        steady = {name: Part(p.child.pid, p.port) for name, p in mesh.processes.items()}
        yield Soak(FULL, steady, steady["gateway"].port, mesh)


@pytest.fixture
async def sampler(own_stage, soak, postgres, tmp_path):
    sampler = Sampler(own_stage, soak.steady, postgres.embedded.data, tmp_path)
    await sampler.open()
    yield sampler
    await sampler.close()


@pytest.mark.timeout(10_000)
async def test_nothing_grows_under_a_long_load_and_what_was_there_before_it_is_there_afterwards(
    soak, sampler, dice
):
    size, samples = soak.size, []
    dwellers = Dwellers(soak.addresses, dice, people=size.people, pause_s=size.pause_s)
    await dwellers.settle()
    async with dwellers.at_work():
        await asyncio.sleep(size.prime_s)
    before = await at_rest(sampler, pause_s=size.rest_s / 100, within_s=size.rest_s)
    async with soak.replicas(), dwellers.at_work():
        for _ in range(int(size.load_s / size.every_s)):
            await asyncio.sleep(size.every_s)
            samples.append(await sampler.look(whole=True))
    behind = await at_rest_again(sampler, before, pause_s=size.rest_s / 100, within_s=size.rest_s)

    done, later = dwellers.done.total(), dwellers.later.total()
    print(f"{done:,} times something was done: {dict(dwellers.done)}; put off: {dict(dwellers.later)}")
    assert dwellers.refused == {}
    assert set(dwellers.done) == dwellers.acts
    assert later <= LATER + LATER_SHARE * done
    assert behind == {}
    full_at = samples[0]["at_s"] + size.full_after_s
    assert grown([each for each in samples if each["at_s"] >= full_at]) == {}
