"""Processes that are killed, frozen or stopped in the middle of runs: each run ends once, with the one right result.

G6 and G22 with real processes. What a step does to the outside is a line in a file, under the key of its item.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from polis.proto import Refused, runtime
from polis.proto.graph import Component, Edge, Graph, GraphInput, GraphOutput, Node, Port, Retry
from polis.proto.problems import DeadlineExceeded, InFlight, Unavailable
from polis.testing import eventually

from .sink_runtime import HELD, MOODY

ITEMS = 12
TIMERS = 60
LONG = 160
SCRIPT = Path(__file__).with_name("sink_runtime.py")
SLOW = Component("test.slow", "", inputs={"in": Port()}, outputs={"out": Port()}, pure=False)


class Mesh:
    """Runtime processes on a stage, and the file that they write to."""

    def __init__(self, stage, sink, admin, person):
        self.stage, self.sink, self.admin, self.person = stage, sink, admin, person
        self.held = sink.with_name(f"{sink.name}.held")

    @asynccontextmanager
    async def process(self, instance, **settings):
        # However slow the machine is, that is none of the facts.
        given = self.stage.settings("runtime", instance=instance, lease_s=1.0, slow_after_s=600, **settings)
        names = given.__struct_fields__
        environment = {f"POLIS_{name.upper()}": str(getattr(given, name)) for name in names}
        inherited = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        environment = {k: v for k, v in environment.items() if v} | inherited
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(SCRIPT), str(self.sink), env=environment, stdout=asyncio.subprocess.DEVNULL
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            await process.wait()

    async def ask(self, request, timeout_s=0.5):
        """A request may reach a process that is dying or frozen: it is repeated, under one key, until one answers."""
        key = uuid4().hex

        async def look():
            try:
                return await self.person.caller.call(
                    request, token=self.person.token, idempotency_key=key, timeout_s=timeout_s
                )
            except Refused as refusal:
                if not isinstance(refusal.problem, DeadlineExceeded | Unavailable | InFlight):
                    raise
                return None

        return await eventually(look, within_s=20)

    async def seen(self, instance):
        """Wait until a process of this name serves."""

        async def look():
            return await self.admin.fetchval("select 1 from runtime.instances where name = $1", instance)

        await eventually(look, within_s=20)
        await self.ask(runtime.ListRuns(limit=1))

    def lines(self):
        return self.sink.read_text().splitlines() if self.sink.exists() else []

    def keys(self):
        return Counter(line.split()[0] for line in self.lines())

    async def start(self, items=ITEMS):
        return await self.begin("slow", list(range(items)))

    async def begin(self, graph, x):
        """A start that is given up while it commits leaves a run to nobody, until its admission is taken for lost."""
        return await self.ask(runtime.StartRun(graph=graph, input={"x": x}), timeout_s=20)

    def hold(self):
        """From now on runs do no more than their first items."""
        self.held.touch()

    def release(self):
        self.held.unlink()

    async def under_way(self, lines=4):
        await eventually(lambda: len(self.lines()) >= lines, within_s=10)

    async def ended(self, run, within_s=15):
        async def look():
            found = await self.ask(runtime.GetRun(run_id=run.id))
            return found if found.state in runtime.TERMINAL else None

        return await eventually(look, within_s=within_s)

    async def assert_right(self, run, items=ITEMS):
        """One end, the right output, each outcome recorded once, keys that are the same at each attempt."""
        assert (await self.ended(run)).state == "succeeded"
        output = await self.ask(runtime.GetOutput(run_id=run.id))
        assert output.values == {"y": [list(range(items))]}
        assert set(self.keys()) == {f"{run.id}/n1/{i}" for i in range(items)}
        assert len({tuple(line.split()) for line in self.lines()}) == items
        assert await self.recorded(run) == items
        facts = await self.admin.fetch(  # a busy machine makes any run a slow one
            "select fact from runtime.outbox where entity = $1 and fact <> 'run_slow' order by n", str(run.id)
        )
        assert [row["fact"] for row in facts] == ["run_started", "run_succeeded"]
        watched = await self.ask(runtime.WatchRun(run_id=run.id, after=0))
        assert [t.seq for t in watched.transitions] == list(range(1, watched.seq + 1))

    async def seen_again(self, instance):
        """Wait until a process has come back to the others: by then it has been told which runs it lost."""
        before = await self.admin.fetchval("select clock_timestamp()")

        async def look():
            seen = "select seen_at > $2 from runtime.instances where name = $1"
            return await self.admin.fetchval(seen, instance, before)

        await eventually(look, within_s=10)

    async def recorded(self, run):
        return await self.admin.fetchval("select count(*) from runtime.journal where run_id = $1", run.id)

    async def has_recorded(self, run, items):
        """Wait until so many outcomes are in the journal."""

        async def look():
            return await self.recorded(run) == items

        await eventually(look, within_s=10)

    async def epoch_is(self, run, epoch):
        return await self.epoch(run) == epoch

    async def quiet(self):
        """Wait until nobody writes into the file any more."""
        before = -1

        async def still():
            nonlocal before
            lines, before = before, len(self.lines())
            await asyncio.sleep(0.3)
            return lines == before

        await eventually(still, within_s=10)

    async def timers(self, run, condition):
        """Whether all timers of a run are open and in this condition."""
        query = f"select count(*) from runtime.waits where run_id = $1 and kind = 'timer' and closed_at is null and {condition}"
        return await self.admin.fetchval(query, run.id) == TIMERS

    async def epoch(self, run):
        return await self.admin.fetchval("select epoch from runtime.runs where id = $1", run.id)


@pytest.fixture
async def mesh(stage, actors, played, caller, graph_of, tmp_path):
    played.components[SLOW.key] = SLOW
    played.graphs["slow"] = graph_of("split", SLOW.key, "collect")
    played.graphs["slow"].nodes["n1"] = Node(SLOW.key, concurrency=2)
    person = actors.person("member")
    person.caller = caller
    async with AsyncExitStack() as stack:
        admin = await asyncpg.connect(stage.database.admin_url)
        stack.push_async_callback(admin.close)
        yield Mesh(stage, tmp_path / "sink", admin, person)
        # A test that fails leaves no run behind for the processes of the next one.
        await admin.execute(
            "update runtime.runs set state = 'cancelled', ended_at = now(), owner = null where ended_at is null"
        )


async def test_a_killed_process_goes_on_at_once_when_it_is_started_again(mesh):
    mesh.hold()
    async with mesh.process("one") as first:
        await mesh.seen("one")
        run = await mesh.start()
        await mesh.has_recorded(run, HELD)
        first.kill()
        await first.wait()
    mesh.release()

    async with mesh.process("one"):
        await mesh.seen("one")
        await mesh.assert_right(run)

    assert set(mesh.keys().values()) == {1}, "what was recorded was not done again"
    assert await mesh.epoch(run) == 2


async def test_attempts_are_counted_on_when_a_run_rests_between_them_and_its_processes_are_killed(
    mesh, played
):
    """A run that waits for its next attempt is nobody's, so whoever is there makes it, and none is made twice."""
    played.components[MOODY.key] = MOODY
    again = Retry(attempts=20, delay_s=0.5, factor=1)
    played.graphs["moody"] = Graph(
        nodes={"n": Node(MOODY.key, retry=again)},
        inputs={"x": GraphInput("n.in")},
        outputs={"y": GraphOutput("n.out")},
    )

    async def at_rest():
        return await mesh.admin.fetchval("select owner is null from runtime.runs where id = $1", run.id)

    mesh.hold()
    async with mesh.process("one") as first, mesh.process("two") as second:
        await mesh.seen("one")
        await mesh.seen("two")
        run = await mesh.begin("moody", 1)
        await mesh.under_way(lines=3)
        first.kill()
        await first.wait()
        made = len(mesh.lines())
        await mesh.under_way(lines=made + 2)
        await eventually(at_rest, within_s=10)
        second.kill()
        await second.wait()
    mesh.release()
    async with mesh.process("three"):
        await mesh.seen("three")
        assert (await mesh.ended(run)).state == "succeeded"
        timeline = await mesh.ask(runtime.GetTimeline(run_id=run.id))

    numbers = [int(line.split()[1]) for line in mesh.lines()]
    # One that was at work when its process was killed is made anew.
    assert sorted(set(numbers)) == list(range(1, max(numbers) + 1))
    assert numbers == sorted(numbers)
    assert len(numbers) - len(set(numbers)) <= 2
    assert timeline.steps[0].attempts == max(numbers)


async def test_a_graph_in_a_graph_goes_on_where_it_was_when_its_process_is_killed(mesh, played):
    """Named in the catalog, and pinned: by the time the run goes on, there is no such graph any more."""
    played.graphs["inner"] = Graph(
        nodes={"act": Node(SLOW.key)},
        inputs={"item": GraphInput("act.in")},
        outputs={"result": GraphOutput("act.out")},
    )
    named = {"graph": {"$use": "graph/inner"}, "at_once": 2}
    played.graphs["outer"] = Graph(
        nodes={"each": Node("each.graph", config=named)},
        inputs={"x": GraphInput("each.in")},
        outputs={"y": GraphOutput("each.out", many=True)},
    )
    mesh.hold()
    async with mesh.process("one") as first:
        await mesh.seen("one")
        run = await mesh.begin("outer", list(range(ITEMS)))
        await mesh.has_recorded(run, HELD)
        first.kill()
        await first.wait()
    mesh.release()
    del played.graphs["inner"]

    async with mesh.process("one"):
        await mesh.seen("one")
        assert (await mesh.ended(run)).state == "succeeded"
        output = await mesh.ask(runtime.GetOutput(run_id=run.id))
        timeline = await mesh.ask(runtime.GetTimeline(run_id=run.id))

    assert output.values == {"y": [list(range(ITEMS))]}
    assert mesh.keys() == {f"{run.id}/each/act/-/{i}": 1 for i in range(ITEMS)}
    assert await mesh.recorded(run) == ITEMS
    assert [(s.node, s.state, s.received, s.emitted) for s in timeline.steps] == [
        ("each", "succeeded", 1, 1 + ITEMS),
        ("each/act", "succeeded", ITEMS, ITEMS),
    ]


async def test_what_falls_due_and_what_is_told_while_no_process_runs_is_there_once_when_one_does(
    mesh, played, tell
):
    """G7, with a real process that is gone: nothing is early, nothing is forgotten, and the late ones are quick."""
    played.graphs["timers"] = Graph(
        nodes={
            "split": Node("split"),
            "wait": Node("wait", {"seconds": 1.0}),
            "act": Node(SLOW.key),
            "hear": Node("event.wait", {"type": "runtime.run_emitted"}),
        },
        edges=(Edge("split.out", "wait.in"), Edge("wait.out", "act.in")),
        inputs={"x": GraphInput("split.in")},
        outputs={"y": GraphOutput("act.out", many=True), "z": GraphOutput("hear.out")},
    )
    async with mesh.process("one") as first:
        await mesh.seen("one")
        run = await mesh.begin("timers", list(range(TIMERS)))
        await eventually(lambda: mesh.timers(run, "true"), within_s=10)
        first.kill()
        await first.wait()
    assert mesh.lines() == []
    await tell(runtime.RunEmitted(run.org_id, uuid4(), "shop", "order.paid", "key", {"n": 7}))
    await eventually(lambda: mesh.timers(run, "due_at < clock_timestamp()"), within_s=10)

    async with mesh.process("one"):
        await mesh.seen("one")
        assert (await mesh.ended(run, within_s=15)).state == "succeeded"
        heard = (await mesh.ask(runtime.GetOutput(run_id=run.id))).values["z"]
        assert heard["data"]["data"] == {"n": 7}

    assert mesh.keys() == {f"{run.id}/act/{n}.0": 1 for n in range(TIMERS)}


async def test_the_runs_of_a_killed_process_go_on_elsewhere_when_its_lease_is_over(mesh):
    mesh.hold()
    async with mesh.process("one") as first:
        await mesh.seen("one")
        run = await mesh.start()
        async with mesh.process("two"):
            await mesh.seen("two")
            await mesh.under_way()
            first.kill()
            mesh.release()

            await mesh.assert_right(run)
            assert await mesh.epoch(run) == 2


async def test_a_frozen_process_that_wakes_up_cannot_commit(mesh):
    mesh.hold()
    async with mesh.process("one") as first:
        await mesh.seen("one")
        run = await mesh.start()
        async with mesh.process("two"):
            await mesh.seen("two")
            await mesh.under_way()
            first.send_signal(signal.SIGSTOP)
            # What its open transaction has locked is free at once: who takes its runs over ends its sessions.
            await eventually(lambda: mesh.epoch_is(run, 2), within_s=20)
            mesh.release()
            first.send_signal(signal.SIGCONT)

            await mesh.assert_right(run)
            assert await mesh.epoch(run) == 2


async def test_nothing_is_recorded_after_a_cancel_that_came_while_its_process_was_frozen(mesh):
    mesh.hold()
    async with mesh.process("one") as first:
        await mesh.seen("one")
        run = await mesh.start(LONG)
        async with mesh.process("two"):
            await mesh.seen("two")
            first.send_signal(signal.SIGSTOP)
            cancelled = await mesh.ask(runtime.CancelRun(run_id=run.id))
            recorded = await mesh.recorded(run)
            mesh.release()
            first.send_signal(signal.SIGCONT)
            await mesh.seen_again("one")

            assert cancelled.state == "cancelled"
            assert await mesh.ask(runtime.GetRun(run_id=run.id)) == cancelled
            assert await mesh.recorded(run) == recorded < LONG
            assert len(mesh.lines()) < LONG


async def test_a_process_that_is_asked_to_stop_hands_its_runs_over_at_once(mesh):
    mesh.hold()
    async with mesh.process("one", drain_s=2.0) as first:
        await mesh.seen("one")
        run = await mesh.start()
        async with mesh.process("two"):
            await mesh.seen("two")
            await mesh.under_way()
            first.terminate()
            assert await asyncio.wait_for(first.wait(), 30) == 0
            mesh.release()

            await mesh.assert_right(run)
            assert await mesh.epoch(run) == 2


async def test_many_runs_survive_that_their_process_is_killed_again_and_again(mesh):
    async with mesh.process("one"):
        await mesh.seen("one")
        runs = await asyncio.gather(*(mesh.start() for _ in range(20)))
        await mesh.under_way(20)
    for round_ in range(1, 4):
        async with mesh.process("one"):
            await mesh.under_way(20 + 40 * round_)
    async with mesh.process("one"):
        await mesh.seen("one")
        for run in runs:
            assert (await mesh.ended(run)).state == "succeeded"
            assert (await mesh.ask(runtime.GetOutput(run_id=run.id))).values == {"y": [list(range(ITEMS))]}

    wanted = {f"{run.id}/n1/{i}" for run in runs for i in range(ITEMS)}
    assert set(mesh.keys()) == wanted
    recorded = await mesh.admin.fetchval(
        "select count(*) from runtime.journal where run_id = any($1)", [run.id for run in runs]
    )
    assert recorded == len(wanted)
