"""Runs under load: what each of them has to come to, who started which, and what the whole mesh says of them afterwards."""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
import psutil

from polis.proto import Refused, catalog, runtime
from polis.proto.graph import Edge, Graph, GraphInput, GraphOutput, Node, Retry
from polis.proto.problems import InFlight, Overloaded
from polis.testing import eventually
from tests.chaos.acting_runtime import ACT, refuses
from tests.chaos.broker import stored
from tests.chaos.history import UNKNOWN_PROBLEMS, History, violations
from tests.chaos.processes import Process

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

    from tests.chaos.mesh import Mesh

GRAPH_KEY = "acts"
ITEMS = 8
REFUSED_ITEMS = 2
SPAN = 10
"""A run with number n has the items 10 n, 10 n + 1, ...: its input says which run it is."""
ACTS_AT_ONCE = 2
REST_S = 0.3
"""About as long as a run that waits is kept."""
LEASE_S = 1.0
CALL_S = 1.0
RETRY_S = 0.05
CLIENTS = 10
PASSING = (*UNKNOWN_PROBLEMS, InFlight, Overloaded)
_SCRIPT = Path(__file__).with_name("acting_runtime.py")

GRAPH = Graph(
    nodes={
        "split": Node("split"),
        "act": Node(ACT.key, concurrency=ACTS_AT_ONCE, retry=Retry(attempts=20, delay_s=0.02, factor=1.0)),
        "done": Node("map", config={"expression": "item.item * 2"}),
        "gather": Node("collect"),
        "sorry": Node("map", config={"fields": {"item": "item.inputs['in']", "why": "item.message"}}),
        "regret": Node("collect"),
        "count": Node("each", config={"expression": "item + index"}),
        "join": Node("merge.all"),
        "rest": Node("wait", config={"seconds": REST_S}),
        "record": Node("log", config={"message": "acted"}),
    },
    edges=(
        Edge("split.out", "act.in"), Edge("act.out", "done.in"), Edge("act.error", "sorry.in"),
        Edge("done.out", "gather.in"), Edge("sorry.out", "regret.in"),
        Edge("gather.out", "join.a"), Edge("regret.out", "join.b"), Edge("count.out", "join.c"),
        Edge("join.out", "rest.in"), Edge("rest.out", "record.in"),
    ),
    inputs={"x": GraphInput("split.in"), "y": GraphInput("count.in")},
    outputs={"all": GraphOutput("record.out")},
)  # fmt: skip
"""Two branches, an effect with repetitions and an error port in one of them, `each` in the other; then a wait, in which the
run leaves the process or not, and an effect at the end."""

ACTS = ITEMS - REFUSED_ITEMS
"""Acts that the outside sees of a run."""
FACTS = sorted(
    (node, "succeeded", received, emitted)
    for node, received, emitted in (
        ("split", 1, ITEMS), ("act", ITEMS, ITEMS), ("done", ACTS, ACTS), ("gather", ACTS, 1),
        ("sorry", REFUSED_ITEMS, REFUSED_ITEMS), ("regret", REFUSED_ITEMS, 1), ("count", 1, 1), ("join", 3, 1),
        ("rest", 1, 1), ("record", 1, 1),
    )
)  # fmt: skip
"""How each step ends, and how many messages it takes and gives."""
RECORDED = [
    ("@log", "000000000001"),
    *(("act", str(place)) for place in range(ITEMS)),
    ("record", "0.0.0"),
    ("rest", "0.0"),
]
"""The outcomes of a run's effects: one for each item, also of those that were refused; and what was said of them, once."""


def items(number: int) -> list[int]:
    return list(range(number * SPAN, number * SPAN + ITEMS))


def result(number: int) -> dict[str, Any]:
    """The one right output."""
    given = items(number)
    return {
        "a": [item * 2 for item in given if not refuses(item)],
        "b": [{"item": item, "why": f"no to {item}"} for item in given if refuses(item)],
        "c": [item + index for index, item in enumerate(given)],
    }


def request(number: int) -> runtime.StartRun:
    return runtime.StartRun(graph=GRAPH_KEY, input={"x": items(number), "y": items(number)})


def key(number: int) -> str:
    return f"run {number}"


def wanted(run_id: UUID, number: int) -> dict[str, set[str]]:
    """What the outside is to see of a run: the key of each act, and its item."""
    return {f"{run_id}/act/{n}": {str(item)} for n, item in enumerate(items(number)) if not refuses(item)}


class Runs:
    """Two runtime processes, and clients that start runs of `GRAPH`, each under a key of its own."""

    def __init__(self, mesh: Mesh, folder: Path) -> None:
        self.mesh = mesh
        self.runtimes: dict[str, Process] = {}
        self._folder = folder
        self._outside = folder / "acts"
        self._numbers = itertools.count(1)
        self._acts: defaultdict[UUID, dict[str, set[str]]] = defaultdict(dict)
        self._read = 0

    async def begin(self) -> None:
        await self.mesh.start("catalog")
        content = msgspec.to_builtins(GRAPH)
        made = await self.mesh.call(catalog.CreateResource(type="graph", key=GRAPH_KEY, content=content))
        await self.mesh.call(catalog.PublishVersion(resource_id=made.id))
        await self.mesh.call(catalog.Activate(resource_id=made.id, environment="production", number=1))
        for name in ("one", "two"):
            self.runtimes[name] = self.mesh.processes[name] = self._process(name)
            self.runtimes[name].start()
        for process in self.runtimes.values():
            await process.ready()

    def _process(self, name: str) -> Process:
        settings = self.mesh.stage.settings("runtime", instance=name, lease_s=LEASE_S)
        return Process([str(_SCRIPT), str(self._outside)], settings, self._folder / f"{name}.log")

    # Load

    @asynccontextmanager
    async def load(self, clients: int = CLIENTS) -> AsyncIterator[Load]:
        """Clients at work for as long as the block lasts; it ends when all they have started has ended."""
        load = Load(self)
        async with asyncio.TaskGroup() as group:
            for client in range(clients):
                group.create_task(load.work(client))
            try:
                yield load
            finally:
                load.over = True
        await self.settled()

    def number(self) -> int:
        return next(self._numbers)

    async def start(self, number: int, *, keyed: bool = True, timeout_s: float = CALL_S) -> runtime.Run:
        return await self.mesh.call(request(number), key=key(number) if keyed else "", timeout_s=timeout_s)

    async def ask(self, request: Any, *, key: str = "", within_s: float = 30.0) -> Any:
        """The answer to a request that may reach a process which is dying or frozen: it is repeated under its key."""

        async def look() -> Any:
            try:
                return await self.mesh.call(request, key=key, timeout_s=CALL_S)
            except Refused as refusal:
                if not isinstance(refusal.problem, PASSING):
                    raise
                return None

        return await eventually(look, within_s=within_s)

    async def ended(self, run: runtime.Run) -> runtime.Run:
        async def look() -> runtime.Run | None:
            found = await self.ask(runtime.GetRun(run_id=run.id))
            return found if found.state in runtime.TERMINAL else None

        return await eventually(look, within_s=30)

    # What became of it

    async def open(self) -> int:
        """How many runs have not ended."""
        [row] = await self.mesh.rows("select count(*) as n from runtime.runs where ended_at is null")
        return row["n"]

    async def none_open(self) -> bool:
        return await self.open() == 0

    async def settled(self, *, within_s: float = 30.0) -> None:
        """Wait until every run has ended, and all that happened has been published."""

        async def look() -> bool:
            [row] = await self.mesh.rows(
                "select (select count(*) from runtime.runs where ended_at is null)"
                " + (select count(*) from runtime.outbox)"
                " - (select coalesce(sum(cardinality(ns)), 0) from runtime.published) as n"
            )
            return row["n"] == 0

        await eventually(look, within_s=within_s)

    async def of(self, numbers: Iterable[str]) -> dict[UUID, str]:
        """The runs that exist of these numbers: id and number."""
        rows = await self.mesh.rows("select id, input from runtime.runs")
        found = {row["id"]: str(msgspec.json.decode(row["input"])["x"][0] // SPAN) for row in rows}
        wanted = set(numbers)
        return {run_id: number for run_id, number in found.items() if number in wanted}

    def acts(self, run_id: UUID) -> dict[str, set[str]]:
        """What the outside has seen of a run: items by key."""
        for line in self._new_lines():
            key, item, _ = line.split()
            self._acts[UUID(key.partition("/")[0])].setdefault(key, set()).add(item)
        return self._acts[run_id]

    def _new_lines(self) -> list[str]:
        if not self._outside.exists():
            return []
        with self._outside.open() as outside:
            outside.seek(self._read)
            lines = outside.readlines()
            self._read = outside.tell()
        return lines

    async def recorded(self, run_ids: Iterable[UUID]) -> dict[tuple[UUID, str, str], Any]:
        """The outcomes that the journal holds."""
        rows = await self.mesh.rows(
            "select run_id, node, item, body from runtime.journal where run_id = any($1)", list(run_ids)
        )
        return {(r["run_id"], r["node"], r["item"]): msgspec.json.decode(r["body"]) for r in rows}

    async def held_by(self, process: Process) -> list[UUID]:
        """The open runs that a process executes."""
        rows = await self.mesh.rows(
            "select r.id from runtime.runs r join runtime.instances i on i.incarnation = r.owner"
            " where i.name = $1 and r.ended_at is null order by r.id",
            self._name(process),
        )
        return [row["id"] for row in rows]

    async def forgotten(self, process: Process) -> bool:
        """Whether a process has lost all its runs to the others, and does not count as one of them any more."""
        return not await self.mesh.rows("select from runtime.instances where name = $1", self._name(process))

    async def connections(self, process: Process, condition: str) -> int:
        """How many of a process's connections to the database are in this condition."""
        assert process.child is not None
        ports = {c.laddr.port for c in psutil.Process(process.child.pid).net_connections()}
        rows = await self.mesh.rows(
            "select client_port from pg_stat_activity where usename = 'app_runtime' and " + condition
        )
        return sum(row["client_port"] in ports for row in rows)

    async def recorded_by(self, process: Process, run_ids: Iterable[UUID]) -> set[tuple[UUID, str, str]]:
        """The acts of these runs whose outcome a process has written."""
        assert process.child is not None
        return {
            outcome
            for outcome, body in (await self.recorded(run_ids)).items()
            for _, value in body.get("emitted", ())
            if value.get("by") == process.child.pid
        }

    def _name(self, process: Process) -> str:
        return next(name for name, known in self.runtimes.items() if known is process)

    async def told(self) -> dict[UUID, list[str]]:
        """The facts that the stream tells of each run, in their order; not that one was slow, as it may well be here."""
        await eventually(lambda: self.mesh.bus.connected, within_s=10)
        found: dict[UUID, list[str]] = {}
        for message in await stored(self.mesh.bus, "EVENTS_RUNTIME"):
            _, _, fact, _, run_id = message.subject.split(".")
            if fact != "run_slow":
                found.setdefault(UUID(run_id), []).append(fact)
        return found

    async def wrong(self, history: History) -> dict[str, list[str]]:
        """Every violation of "what was accepted ended once, in its one right result", by rule and by run."""
        runs = await self.of(o.key for o in history.operations)
        found = {f"runs {rule}": keys for rule, keys in violations(history, list(runs.values())).items()}
        return found | await self.wrong_of(runs)

    async def wrong_of(self, runs: Mapping[UUID, str]) -> dict[str, list[str]]:
        """What is wrong with runs that are to have succeeded; by number."""
        found: dict[str, list[str]] = {}
        told, recorded = await self.told(), await self.recorded(runs)
        for run_id, number in runs.items():
            faults = await self._faults(run_id, int(number))
            if told.get(run_id) != ["run_started", "run_succeeded"]:
                faults.append(f"told: {told.get(run_id)}")
            outcomes = [(node, item) for r, node, item in recorded if r == run_id]
            if sorted(outcomes) != RECORDED:
                faults.append(f"recorded: {outcomes}")
            if self.acts(run_id) != wanted(run_id, int(number)):
                faults.append(f"acted: {self.acts(run_id)}")
            if faults:
                found[f"run {number}"] = faults
        return found

    async def _faults(self, run_id: UUID, number: int) -> list[str]:
        """What is wrong with a run as its callers see it."""
        timeline = await self.ask(runtime.GetTimeline(run_id=run_id))
        if timeline.run.state != "succeeded":
            return [f"{timeline.run.state}: {timeline.run.error}"]
        faults = await self.unordered(run_id)
        output = await self.ask(runtime.GetOutput(run_id=run_id))
        if output.values != {"all": result(number)}:
            faults.append(f"output: {output.values}")
        facts = [(s.node, s.state, s.received, s.emitted) for s in timeline.steps]
        if sorted(facts) != FACTS:
            faults.append(f"steps: {facts}")
        return faults

    async def unordered(self, run_id: UUID) -> list[str]:
        """What is wrong with the numbers of a run's transitions: they have no gap, and its one end is the last of them."""
        watched = await self.ask(runtime.WatchRun(run_id=run_id, after=0))
        numbers = [t.seq for t in watched.transitions]
        ends = [t.seq for t in watched.transitions if t.step is None and t.state in runtime.TERMINAL]
        right = numbers == list(range(1, watched.seq + 1)) and ends == [watched.seq]
        return [] if right else [f"transitions: {numbers}, ends: {ends}"]


class Load:
    """Clients that start a run and wait for its end, as often as they can.

    The odd ones give a key and repeat what is unknown, the even ones have no key and leave it.
    """

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self.history = History()
        self.accepted: dict[int, runtime.Run] = {}
        self.keyed: set[int] = set()
        self.over = False

    async def work(self, client: int) -> None:
        while not self.over:
            number = self._runs.number()
            if client % 2:
                self.keyed.add(number)
            await self._start(number, repeats=number in self.keyed)
            if number in self.accepted:
                await self._runs.ended(self.accepted[number])
            else:
                await asyncio.sleep(RETRY_S)

    async def _start(self, number: int, *, repeats: bool) -> None:
        with self.history.invoke(str(number)) as operation:
            while True:
                try:
                    self.accepted[number] = await self._runs.start(number, keyed=repeats)
                except Refused as refusal:
                    operation.detail = refusal.problem.type
                    if not repeats or not isinstance(refusal.problem, PASSING):
                        raise
                    await asyncio.sleep(RETRY_S)
                else:
                    return

    async def other_answers(self) -> list[int]:
        """The runs whose keys do not give the answer that they gave before."""
        return [
            number
            for number, run in self.accepted.items()
            if number in self.keyed and await self._runs.ask(request(number), key=key(number)) != run
        ]

    async def more(self, count: int, *, within_s: float = 60.0) -> None:
        """Wait until so many more are accepted."""
        wanted = self.history.count("ok") + count
        await eventually(lambda: self.history.count("ok") >= wanted, within_s=within_s)
