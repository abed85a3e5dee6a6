"""A graph of pure functions, run straight through: node after node, without inboxes, lineage or turns.

It gives what the engine would give, or gives up. Whatever is out of the ordinary (an error, a message that does not fit, much
of anything) is left to the engine, which executes the run from its beginning: nothing here has an effect, so that it was
tried shows nowhere.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from time import monotonic
from typing import TYPE_CHECKING, NoReturn

from msgspec import Struct

from polis.proto.runtime import Step
from polis.runtime.engine.item import ROOT
from polis.runtime.engine.outputs import Outputs

if TYPE_CHECKING:
    from polis.graph import Schema
    from polis.proto.runtime import LineLevel
    from polis.runtime.component import Inline, Logger
    from polis.runtime.engine.program import Program
    from polis.runtime.engine.stage import Stage
    from polis.runtime.reach import Reach

STRAIGHT_S = 0.0015
"""How long it is tried; the engine has its own time after that."""
_MAX_MESSAGES = 10_000
_PER_CLOCK = 32

Messages = list[list[object]]
"""What waits at each wire of a node."""


class Done(Struct, frozen=True):
    """A run that succeeded: the facts of its steps in topological order, its output as JSON, its length."""

    steps: tuple[Step, ...]
    output: bytes
    took_ms: int


class _GiveUp(BaseException):
    """The engine is to do it. No component catches this."""


class _Emitter:
    """The step of all items of a node. What only lineage or a host could tell is not for this way."""

    __slots__ = ("config", "out")

    def __init__(self, config: Mapping[str, object]) -> None:
        self.config = config
        self.out: list[tuple[str, object]] = []

    def emit(self, port: str, value: object) -> None:
        self.out.append((port, value))

    @property
    def key(self) -> str:
        _give_up()

    @property
    def log(self) -> Logger:
        _give_up()

    @property
    def reach(self) -> Reach:
        _give_up()

    async def room(self) -> None:
        """A function cannot wait."""

    def say(self, level: LineLevel, message: str, value: object = None) -> None:
        """Only effects say anything."""

    def progress(self, done: int, total: int | None = None) -> None:
        """Nobody sees the progress of what is over at once."""

    def cost(self, millionths: int) -> None:
        """A function costs nothing but its time."""

    @property
    def sources(self) -> tuple[str, ...]:
        return ()

    def heartbeat(self) -> None:
        """Nobody waits for what is over at once."""

    def artifact(self, artifact_id: str) -> AsyncIterator[bytes]:
        del artifact_id
        _give_up()


class _Part:
    """A node, as far as this way needs it."""

    __slots__ = (
        "activity", "checks", "component", "config", "exits", "inline", "name", "outputs", "pairs", "ports", "routes",
        "sourced", "title",
    )  # fmt: skip

    def __init__(self, stage: Stage, inline: Inline) -> None:
        self.inline = inline
        self.name = stage.path
        self.title = stage.title
        self.component = stage.component.key
        self.activity = stage.component.activity
        self.config = stage.config
        self.outputs = stage.component.outputs.keys()
        self.pairs = stage.pairs
        self.ports = stage.ports
        self.sourced = tuple(bool(stage.port_sources[port]) for port in stage.ports)
        self.checks: tuple[Schema | None, ...] = stage.checks
        self.routes = stage.routes
        self.exits = stage.exits


class Straight:
    """The straight way through a program."""

    __slots__ = ("_entries", "_parts", "_program")

    def __init__(self, program: Program, parts: tuple[_Part, ...]) -> None:
        self._program = program
        self._parts = parts
        inputs, entries = program.graph.inputs, program.plan.entries
        self._entries = tuple(
            (name, inputs[name].default, entries[name].node, entries[name].wire) for name in sorted(inputs)
        )

    def run(self, inputs: Mapping[str, object]) -> Done | None:
        """Execute it; None when that is for the engine to do."""
        try:
            return self._run(inputs)
        except (Exception, _GiveUp):  # noqa: BLE001 - whatever it is, the engine comes upon it again, and tells it
            return None

    def _run(self, inputs: Mapping[str, object]) -> Done | None:
        began = monotonic()
        until = began + STRAIGHT_S
        waiting: list[Messages] = [[[] for _ in part.ports] for part in self._parts]
        for name, default, node, wire in self._entries:
            value = inputs.get(name, default)
            if value is not None or name in inputs:
                waiting[node][wire].append(value)
        outputs = Outputs(self._program)
        steps: list[Step] = []
        total = before_ms = now_ms = 0
        for part, messages in zip(self._parts, waiting, strict=True):
            items = _items(part, messages)
            emitted = _visit(part, items, until)
            _pass_on(part, emitted, waiting, outputs)
            now = monotonic()
            total += len(emitted)
            if now > until or total > _MAX_MESSAGES:
                return None
            before_ms, now_ms = now_ms, int((now - began) * 1000)
            steps.append(_facts(part, items, len(emitted), before_ms, now_ms))
        return Done(tuple(steps), outputs.encoded(self._program), now_ms)


def _visit(part: _Part, items: list[dict[str, object]], until: float) -> list[tuple[str, object]]:
    step, inline = _Emitter(part.config), part.inline
    for number, item in enumerate(items, start=1):
        inline(step, item)
        if number % _PER_CLOCK == 0 and (monotonic() > until or len(step.out) > _MAX_MESSAGES):
            _give_up()
    return step.out


def _pass_on(
    part: _Part, emitted: list[tuple[str, object]], waiting: list[Messages], outputs: Outputs
) -> None:
    for port, value in emitted:
        if port in part.routes:
            for node, wire in part.routes[port]:
                waiting[node][wire].append(value)
        elif port not in part.outputs:
            _give_up()
        if port in part.exits:
            for name in part.exits[port]:
                outputs.take(name, ROOT, value)


def straight(program: Program) -> Straight | None:
    """The straight way through a program; None for one that needs the engine.

    Every node is a pure function, and no messages meet by chance: each port has one source.
    """
    parts = []
    if program.traced:
        return None
    for stage in program.stages:
        if not stage.plain or stage.inline is None or stage.marks or stage.sorted_ports or stage.latest:
            return None
        if len(set(stage.ports)) < len(stage.ports) or stage.strict:
            return None
        parts.append(_Part(stage, stage.inline))
    return Straight(program, tuple(parts))


def _items(part: _Part, messages: Messages) -> list[dict[str, object]]:
    """What each call of the node takes; every message has passed its port's schema."""
    ports = part.ports
    if not ports:
        return [{}]
    if not part.pairs:
        port, values = ports[0], messages[0]
        if part.checks[0] is not None:
            _check(part.checks[0], values)
        return [{port: value} for value in values]
    live = [n for n, got in enumerate(messages) if got or part.sourced[n]]
    for n in live:
        _check(part.checks[n], messages[n])
    columns = [messages[n] for n in live]
    return [
        {ports[n]: value for n, value in zip(live, row, strict=True)} for row in zip(*columns, strict=False)
    ]


def _check(check: Schema | None, values: list[object]) -> None:
    if check is not None and not all(check.accepts(value) for value in values):
        _give_up()


def _facts(part: _Part, items: list[dict[str, object]], emitted: int, started_ms: int, ended_ms: int) -> Step:
    calls = len(items)
    if not calls:
        return Step(part.name, part.component, part.title, part.activity, "skipped", ended_ms=ended_ms)
    received = calls * len(items[0])
    return Step(
        part.name, part.component, part.title, part.activity, "succeeded", received, emitted, calls, started_ms,
        ended_ms,
    )  # fmt: skip


def _give_up() -> NoReturn:
    raise _GiveUp
