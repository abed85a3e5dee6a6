"""G13. SIGSTOP of the broker, the database or a service: callers get a problem in time, and all is well soon after."""

from __future__ import annotations

import asyncio
import signal
import time
from uuid import uuid4

import pytest

from polis.proto import Refused, identity
from polis.proto.problems import DeadlineExceeded, InFlight, Overloaded, Unavailable
from polis.service.config import Settings
from polis.testing import eventually
from tests.chaos.history import History, violations
from tests.chaos.processes import stop_all

DEADLINE_S = 2.0
MARGIN_S = 3.0
RED_S = 10.0
HEALTHY_S = 5.0
LEADERS = 4
"""Connections besides those for callers: one for each thing that one replica does for all of them."""


class Broker:
    """nats-server."""

    dependency = "nats"

    def __init__(self, mesh):
        self._process = mesh.nats.process

    def freeze(self):
        self._process.send_signal(signal.SIGSTOP)

    def resume(self):
        self._process.send_signal(signal.SIGCONT)


class Database:
    """Every process of PostgreSQL."""

    dependency = "postgresql"

    def __init__(self, mesh):
        self._mesh = mesh
        self._frozen = []

    def freeze(self):
        self._frozen = stop_all(self._mesh.postgres)

    def resume(self):
        for process in self._frozen:
            process.resume()


class Service:
    """Identity. A frozen process cannot tell of itself."""

    dependency = ""

    def __init__(self, mesh):
        self._process = mesh.processes["identity"]

    def freeze(self):
        self._process.freeze()

    def resume(self):
        self._process.resume()


class Callers:
    """Reads and writes at once, each with the same deadline; what they were told and how long they waited for it."""

    def __init__(self, mesh):
        self._mesh = mesh
        self.history = History()
        self.problems = []
        self.longest_s = 0.0

    async def call(self, count=20):
        await asyncio.gather(*(self._read() for _ in range(count)), *(self._write() for _ in range(count)))

    async def _read(self):
        await self._ask(identity.ListMembers())

    async def _write(self):
        name = uuid4().hex
        with self.history.invoke(name):
            await self._ask(identity.CreateOrg(name=name), key=name, told=True)

    async def _ask(self, request, *, key="", told=False):
        started = time.monotonic()
        try:
            await self._mesh.call(request, key=key, timeout_s=DEADLINE_S)
        except Refused as refusal:
            self.problems.append(refusal.problem)
            if told:
                raise
        finally:
            self.longest_s = max(self.longest_s, time.monotonic() - started)


@pytest.mark.parametrize("what", [Broker, Database, Service])
async def test_a_freeze_costs_callers_no_more_than_their_deadline(what, mesh, dice, full):
    victim, process = what(mesh), mesh.processes["identity"]
    callers = Callers(mesh)
    for _ in range(5 if full else 1):
        await process.ready()
        victim.freeze()
        try:
            started = time.monotonic()
            for _ in range(5 if full else 1):
                await callers.call()
            assert all(
                isinstance(p, DeadlineExceeded | Unavailable | Overloaded | InFlight)
                for p in callers.problems
            )
            assert callers.problems
            assert callers.longest_s <= DEADLINE_S + MARGIN_S
            if victim.dependency:
                faults = await eventually(lambda: red(process), within_s=RED_S + started - time.monotonic())
                assert victim.dependency in faults
        finally:
            victim.resume()
        await well_again(mesh, process)
        callers.problems.clear()
    asked = callers.history.keys("ok", "fail", "unknown")
    assert violations(callers.history, [name for name in await mesh.orgs() if name in asked]) == {}
    await eventually(lambda: no_connection_leaked(mesh), within_s=30)


async def red(process):
    status, body = await process.health()
    return body["faults"] if status == 503 else None


async def well_again(mesh, process):
    """Ready, and calls are answered."""
    resumed = time.monotonic()
    await process.ready(within_s=HEALTHY_S)

    async def answered():
        try:
            await mesh.call(identity.CreateOrg(name=uuid4().hex), timeout_s=1.0)
        except Refused:
            return False
        return True

    await eventually(answered, within_s=resumed + HEALTHY_S - time.monotonic())


async def no_connection_leaked(mesh):
    [row] = await mesh.rows(
        "select count(*) as open, count(*) filter (where state like 'idle in%') as held"
        " from pg_stat_activity where usename = 'app_identity'"
    )
    return row["open"] <= Settings().database_connections + LEADERS and row["held"] == 0
