"""Runtimes and PostgreSQL are killed while people answer at once: each ask opens once, has one answer, and its run that one.

Asks of each kind stand alone, in a branch, in `each`, in a loop and in a graph in the graph; their runs go on, are cancelled, are
paused and resumed, or are brought to another version meanwhile. Several say different things to the same ask, each until they
know what became of it. One of them was in time, or the run was over.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter

import msgspec
import pytest

from polis.proto import Refused, catalog, runtime
from polis.proto.graph import Edge, Graph, GraphInput, GraphOutput, Node
from polis.testing import eventually
from tests.chaos.runs import Runs

CHOICES = ("one", "two", "three")
KINDS = {"approval": "approve", "input": "submit", "choice": "", "vote": "", "handoff": "done"}
"""Kinds of asks, and what is decided by who gives a value; of the others the choice is what is said."""
PLACES = ("alone", "branch", "each.graph", "loop", "graph")
COMBINATIONS = tuple(itertools.product(KINDS, PLACES))
SOME = 10
FATES = ("goes on", "cancelled", "paused", "migrated")


def asking(kind):
    config = {"kind": kind, "title": "{{.}}?", "to": [{"starter": True}]}
    return Node("ask", config=config | ({"choices": list(CHOICES)} if kind in ("choice", "vote") else {}))


def graph(kind, place):
    """A graph that asks once about its input `x`, at one of the places; what went on is `y`."""
    nodes = {"start": Node("map", config={"expression": "[item]" if place == "each.graph" else "item"})}
    if place == "alone":
        nodes["last"] = asking(kind)
        edges = (Edge("start.out", "last.in"),)
    elif place == "branch":
        nodes |= {"ask": asking(kind), "last": Node("merge.all")}
        edges = (Edge("start.out", "ask.in"), Edge("ask.out", "last.a"), Edge("start.out", "last.b"))
    else:
        named = {"loop": ("state", "state"), "graph": ("in", "out"), "each.graph": ("item", "it")}[place]
        inner = Graph(
            nodes={"ask": asking(kind)},
            inputs={named[0]: GraphInput("ask.in")},
            outputs={named[1]: GraphOutput("ask.out")},
        )
        turns = {"times": 1} if place == "loop" else {}
        nodes["last"] = Node(place, config={"graph": msgspec.to_builtins(inner)} | turns)
        edges = (Edge("start.out", "last.in"),)
    return Graph(
        nodes=nodes, edges=edges, inputs={"x": GraphInput("start.in")}, outputs={"y": GraphOutput("last.out")}
    )


def longer(made):
    """The same with a step behind it."""
    return msgspec.structs.replace(
        made,
        nodes={**made.nodes, "more": Node("map", config={"expression": "[item]"})},
        edges=(*made.edges, Edge("last.out", "more.in")),
        outputs={"y": GraphOutput("more.out")},
    )


@pytest.fixture(scope="module")
async def runs(mesh, tmp_path_factory):
    runs = Runs(mesh, tmp_path_factory.mktemp("runs"))
    await runs.begin()
    runs.graphs = {}
    return runs


async def activate(runs, asked, number):
    """Have these start by this version of their graphs, of which there are two."""
    for kind, place in {each.combination: None for each in asked}:
        if (kind, place) not in runs.graphs:
            runs.graphs[kind, place] = await published(runs.mesh, kind, place)
        resource_id = runs.graphs[kind, place]
        await runs.ask(catalog.Activate(resource_id=resource_id, environment="production", number=number))


async def published(mesh, kind, place):
    first = graph(kind, place)
    made = await mesh.call(
        catalog.CreateResource(type="graph", key=key_of(kind, place), content=msgspec.to_builtins(first))
    )
    await mesh.call(catalog.PublishVersion(resource_id=made.id))
    content = msgspec.to_builtins(longer(first))
    await mesh.call(catalog.PutDraft(resource_id=made.id, revision=1, content=content))
    await mesh.call(catalog.PublishVersion(resource_id=made.id))
    return made.id


def key_of(kind, place):
    return f"asks-{kind}-{place}"


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

    def __init__(self, runs, combination, fate):
        self._runs, self._number = runs, runs.number()
        self.combination = self.kind, self.place = combination
        self.fate = fate
        self.said = {}

    @property
    def name(self):
        return f"{self.kind} {self.place} {self.fate} {self.run.id}"

    async def begin(self):
        start = runtime.StartRun(graph=key_of(self.kind, self.place), input={"x": self._number})
        self.run = await self._runs.ask(start, key=f"start {self._number}")
        self.ask = await eventually(self._open, within_s=30)

    async def _open(self):
        found = (await self._runs.ask(runtime.ListAsks(run_id=self.run.id))).items
        return found[0] if found else None

    async def live(self):
        """Let happen to it what is to, and say everything at once."""
        if self.fate == "migrated":
            await self._steer(runtime.MigrateRun)
        if self.fate == "paused":
            await self._steer(runtime.PauseRun)
        sayings = [self._say(saying) for saying in CHOICES]
        if self.fate == "cancelled":
            sayings.insert(1, self._steer(runtime.CancelRun))
        await asyncio.gather(*sayings)
        if self.fate == "paused":
            await self._steer(runtime.ResumeRun)

    async def _steer(self, request):
        try:
            await self._runs.ask(request(run_id=self.run.id), key=f"{request.__name__} {self._number}")
        except Refused as refusal:
            if self.fate != "cancelled" or not isinstance(refusal.problem, runtime.RunEnded):
                raise

    async def _say(self, saying):
        decision = KINDS[self.kind]
        request = runtime.AnswerAsk(self.ask.id, decision or saying, value=saying if decision else None)
        try:
            await self._runs.ask(request, key=f"say {self._number} {saying}")
        except Refused as refusal:
            self.said[saying] = refusal.problem
        else:
            self.said[saying] = None

    def _right(self, saying):
        """What its run gives when this was said in time."""
        given = {
            "choice": {"choice": saying, "value": self._number},
            "vote": {"choice": saying, "value": self._number, "votes": {saying: 1}},
        }.get(self.kind, saying)
        given = {"branch": {"a": given, "b": self._number}, "each.graph": [given]}.get(self.place, given)
        return {"y": [given] if self.fate == "migrated" else given}

    async def faults(self):
        """What is wrong with it: nobody or more than one was in time, or its run went on with something else."""
        in_time = [saying for saying, problem in self.said.items() if problem is None]
        late = [problem for problem in self.said.values() if problem is not None]
        state = (await self._runs.ask(runtime.GetRun(run_id=self.run.id))).state
        if self.fate == "cancelled" and state == "cancelled":
            over = "answered" if in_time else "withdrawn"
            right = len(in_time) <= 1 and late == [runtime.AskEnded(over)] * (len(CHOICES) - len(in_time))
            return [] if right else [f"in time: {in_time}, late: {late}"]
        found = [] if len(in_time) == 1 else [f"in time: {in_time}"]
        if late != [runtime.AskEnded("answered")] * (len(CHOICES) - 1):
            found.append(f"late: {late}")
        if state != "succeeded":
            return [*found, f"it has {state}"]
        output = (await self._runs.ask(runtime.GetOutput(run_id=self.run.id))).values
        if in_time and output != self._right(in_time[0]):
            found.append(f"output: {output}, said: {in_time}")
        return found


VICTIMS = (a_runtime, every_runtime, postgres)


async def test_each_ask_has_one_answer_whatever_is_killed_while_it_is_given(runs, dice, full):
    """Each kind at each place with each fate, and whatever is killed; or some of that."""
    rounds = len(VICTIMS) * len(FATES) if full else 1
    for turn in range(rounds):
        victim = VICTIMS[turn % len(VICTIMS)] if full else dice.choice(VICTIMS)
        combinations = COMBINATIONS if full else dice.sample(COMBINATIONS, SOME)
        fates = itertools.cycle(FATES[turn % len(FATES) :] + FATES[: turn % len(FATES)])
        asked = [Asked(runs, *each) for each in zip(combinations, fates, strict=False)]
        await activate(runs, asked, 1)
        await asyncio.gather(*(each.begin() for each in asked))
        await activate(runs, [each for each in asked if each.fate == "migrated"], 2)
        before = await answered(runs)
        async with asyncio.TaskGroup() as group:
            for each in asked:
                group.create_task(each.live())
            some = before + dice.randrange(len(asked) // 2)
            await eventually(lambda some=some: reached(runs, some), within_s=30)
            await victim(runs, dice)
        await runs.settled()

        assert {each.name: faults for each in asked if (faults := await each.faults())} == {}
        facts = await told(runs, asked)
        assert facts.pop("ask_opened") == len(asked)
        assert facts.pop("ask_voted", 0) <= len(asked)
        assert set(facts) <= {"ask_answered", "ask_withdrawn"}
        assert facts.total() == len(asked)


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
