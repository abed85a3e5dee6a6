"""Runtimes and PostgreSQL are killed while people answer at once: each ask opens once, has one answer, and its run that one.

Several people say different things to the same ask, each until they know what became of it. One of them was in time.
"""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from polis.proto import Refused, catalog, runtime
from polis.testing import eventually
from tests.chaos.runs import Runs

KEY = "asks"
SAYINGS = ("one", "two", "three")
GRAPH = {
    "nodes": {
        "ask": {
            "component": "ask",
            "config": {
                "kind": "choice",
                "title": "{{.}}?",
                "to": [{"starter": True}],
                "choices": list(SAYINGS),
            },
        }
    },
    "inputs": {"x": {"target": "ask.in"}},
    "outputs": {"y": {"source": "ask.out"}},
}


@pytest.fixture(scope="module")
async def runs(mesh, tmp_path_factory):
    runs = Runs(mesh, tmp_path_factory.mktemp("runs"))
    await runs.begin()
    made = await mesh.call(catalog.CreateResource(type="graph", key=KEY, content=GRAPH))
    await mesh.call(catalog.PublishVersion(resource_id=made.id))
    await mesh.call(catalog.Activate(resource_id=made.id, environment="production", number=1))
    return runs


async def a_runtime(runs, dice):
    await kill(dice.choice(list(runs.runtimes.values())))


async def every_runtime(runs, dice):
    await kill(*runs.runtimes.values())


async def kill(*processes):
    for process in processes:
        process.kill()
    for process in processes:
        process.start()
    for process in processes:
        await process.ready()


async def postgres(runs, dice):
    server = runs.mesh.postgres
    port = server.port
    server.kill()
    await server.start(port)


class Asked:
    """One run that asks, and what came of each saying."""

    def __init__(self, runs, number):
        self._runs, self._number = runs, number
        self.said = {}

    async def live(self):
        """Start it, find what it asks, and say everything at once."""
        start = runtime.StartRun(graph=KEY, input={"x": self._number})
        self.run = await self._runs.ask(start, key=f"start {self._number}")
        self.ask = await eventually(self._open, within_s=30)
        await asyncio.gather(*(self._say(saying) for saying in SAYINGS))

    async def _open(self):
        found = (await self._runs.ask(runtime.ListAsks(run_id=self.run.id))).items
        return found[0] if found else None

    async def _say(self, saying):
        request = runtime.AnswerAsk(self.ask.id, saying)
        try:
            await self._runs.ask(request, key=f"say {self._number} {saying}")
        except Refused as refusal:
            self.said[saying] = refusal.problem
        else:
            self.said[saying] = None

    async def faults(self):
        """What is wrong with it: nobody or more than one was in time, or its run went on with something else."""
        in_time = [saying for saying, problem in self.said.items() if problem is None]
        late = [problem for problem in self.said.values() if problem is not None]
        output = (await self._runs.ask(runtime.GetOutput(run_id=self.run.id))).values
        found = [] if len(in_time) == 1 else [f"in time: {in_time}"]
        if late != [runtime.AskEnded("answered")] * (len(SAYINGS) - 1):
            found.append(f"late: {late}")
        if in_time and output != {"y": {"choice": in_time[0], "value": self._number}}:
            found.append(f"output: {output}, said: {in_time}")
        return found


VICTIMS = (a_runtime, every_runtime, postgres)


async def test_each_ask_has_one_answer_whatever_is_killed_while_it_is_given(runs, dice, full):
    victims = VICTIMS * 10 if full else [dice.choice(VICTIMS)]
    for victim in victims:
        asked = [Asked(runs, runs.number()) for _ in range(60 if full else 15)]
        before = await answered(runs)
        async with asyncio.TaskGroup() as group:
            for each in asked:
                group.create_task(each.live())
            some = before + dice.randrange(len(asked))
            await eventually(lambda some=some: reached(runs, some), within_s=30)
            await victim(runs, dice)
        await runs.settled()

        assert {each.run.id: faults for each in asked if (faults := await each.faults())} == {}
        assert await told(runs, asked) == {"ask_opened": len(asked), "ask_answered": len(asked)}


async def answered(runs):
    [row] = await runs.mesh.rows("select count(*) as n from runtime.asks where state = 'answered'")
    return row["n"]


async def reached(runs, count):
    return await answered(runs) >= count


async def told(runs, asked):
    """The facts of these asks, and of how many of them each was told once."""
    rows = await runs.mesh.rows(
        "select fact, entity from runtime.outbox where entity = any($1)", [str(each.ask.id) for each in asked]
    )
    assert len(rows) == len({tuple(row) for row in rows})
    return Counter(row["fact"] for row in rows)
