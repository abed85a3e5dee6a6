"""Processes that are killed while runs ask: an ask opens once, has one answer, and its run goes on with that elsewhere."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from polis.proto import Refused, runtime
from polis.proto.problems import DeadlineExceeded, InFlight, Unavailable
from polis.testing import eventually

SCRIPT = Path(__file__).parents[1] / "sink_runtime.py"
RUNS = 12


class Mesh:
    """Runtime processes on a stage, and people who call whichever of them is there."""

    def __init__(self, stage, admin, sink):
        self.stage, self.admin, self.sink = stage, admin, sink

    @asynccontextmanager
    async def process(self, instance):
        given = self.stage.settings("runtime", instance=instance, lease_s=1.0)
        names = given.__struct_fields__
        environment = {f"POLIS_{name.upper()}": str(getattr(given, name)) for name in names}
        environment = {k: v for k, v in environment.items() if v} | {"PATH": os.environ["PATH"]}
        if path := os.environ.get("PYTHONPATH"):
            environment["PYTHONPATH"] = path
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(SCRIPT), str(self.sink), env=environment, stdout=asyncio.subprocess.DEVNULL
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def call(self, person, request):
        """A request may reach a process that is dying: it is repeated, under one key, until one answers."""
        key = uuid4().hex

        async def look():
            try:
                return await person.caller.call(
                    request, token=person.token, idempotency_key=key, timeout_s=0.5
                )
            except Refused as refusal:
                if not isinstance(refusal.problem, DeadlineExceeded | Unavailable | InFlight):
                    raise
                return None

        return await eventually(look, within_s=20)

    async def asks(self, person, count):
        async def look():
            found = (await self.call(person, runtime.ListAsks(limit=200))).items
            return found if len(found) == count else None

        return await eventually(look, within_s=15)

    async def ended(self, person, run):
        async def look():
            found = await self.call(person, runtime.GetRun(run_id=run.id))
            return found if found.state in runtime.TERMINAL else None

        return await eventually(look, within_s=15)


@pytest.fixture
async def mesh(stage, actors, played, caller, tmp_path):
    admin = await asyncpg.connect(stage.database.admin_url)
    yield Mesh(stage, admin, tmp_path / "sink")
    await admin.close()


@pytest.fixture
def ada(actors, caller):
    person = actors.person("admin")
    person.caller = caller
    return person


async def test_an_answer_counts_although_the_process_dies_between_the_question_and_the_end(
    mesh, ada, played, asks
):
    played.graphs["asks"] = asks()
    start = runtime.StartRun(graph="asks", input={"x": 1})
    async with mesh.process("one") as first:
        runs = [await mesh.call(ada, start) for _ in range(RUNS)]
        found = await mesh.asks(ada, RUNS)
        half = [mesh.call(ada, runtime.AnswerAsk(ask.id, "approve")) for ask in found[: RUNS // 2]]
        answering = asyncio.gather(*half)
        await eventually(lambda: answered(mesh), within_s=20)
        first.kill()
        await first.wait()
        async with mesh.process("two"):
            await answering
            for ask in found[RUNS // 2 :]:
                await mesh.call(ada, runtime.AnswerAsk(ask.id, "approve"))
            states = [(await mesh.ended(ada, run)).state for run in runs]

    assert states == ["succeeded"] * RUNS
    for table, most in (("asks", RUNS), ("waits", RUNS), ("journal", RUNS)):
        assert await mesh.admin.fetchval(f"select count(*) from runtime.{table}") == most
    told = await mesh.admin.fetch(
        "select fact, count(*) as n, count(distinct entity) as of from runtime.outbox where fact like 'ask_%' group by fact"
    )
    assert {row["fact"]: (row["n"], row["of"]) for row in told} == {
        "ask_opened": (RUNS, RUNS),
        "ask_answered": (RUNS, RUNS),
    }


async def answered(mesh):
    return await mesh.admin.fetchval("select 1 from runtime.asks where state = 'answered' limit 1")
