"""What an implementation of a component sees of the engine, and the registry that the engine finds it in.

Three shapes, told apart at registration: a function runs inline on the loop, a coroutine function runs as a bounded
task of its own, a class collects (one instance a node and run). A fourth is registered by `waiting`: a function of either
kind whose outcome comes from outside the process. A class for a component with a body drives that (one instance an
activation). A shape never blocks the loop for more than 5 ms.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from datetime import datetime
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, TypeVar

import msgspec
from msgspec import Struct

from polis.graph import builtin
from polis.proto.graph import Component, Graph
from polis.runtime.components import MODULES

if TYPE_CHECKING:
    from polis.proto.runtime import LineLevel
    from polis.runtime.reach import Reach

Inputs = Mapping[str, object]
"""Messages by the port that they came to: one port under merge `any`, every connected port under `all`."""


class Logger(Protocol):
    """As much of structlog as a step may use; bound by the engine to org, run and node."""

    def info(self, event: str, **fields: object) -> None: ...
    def warning(self, event: str, **fields: object) -> None: ...


class Step(Protocol):
    """One activation of a node; for a collector, the node's whole life in a run.

    Every method is called on the loop's thread. A pure step emits the same messages in the same order when it is
    repeated, so whoever repeats it may skip those that have already gone on.
    """

    @property
    def config(self) -> Mapping[str, object]:
        """The node's configuration, already valid under the component's JSON Schema; defaults are not filled in."""
        ...

    @property
    def key(self) -> str:
        """`run/step/item`: the same at every attempt, so it is what an effect is idempotent by."""
        ...

    @property
    def log(self) -> Logger: ...

    def emit(self, port: str, value: object) -> None:
        """Send a JSON value, which nobody changes afterwards, out of a port."""
        ...

    async def room(self) -> None:
        """Return when what was emitted so far fits the bounds of the nodes behind; for steps that emit many."""
        ...

    @property
    def sources(self) -> tuple[str, ...]:
        """The steps with a model's results that its inputs were made of, and of which nobody has approved."""
        ...

    def heartbeat(self) -> None:
        """Say that the step is alive; one that is silent for longer than its node allows has failed. Progress says so too."""
        ...

    def say(self, level: LineLevel, message: str, value: object = None) -> None:
        """Say one line in the run's log. It is kept and told with the outcome of the effect that says it: once, or not at all."""
        ...

    def progress(self, done: int, total: int | None = None) -> None:
        """Tell how far the step is, in a unit of its own; the engine thins out what it passes on."""
        ...

    def cost(self, millionths: int) -> None:
        """Tell what the attempt has cost, in millionths of the org's currency; added up, it stands in the run's timeline."""
        ...

    def artifact(self, artifact_id: str) -> AsyncIterator[bytes]:
        """Read a file of the run's org in chunks of any size; raises Refused when it cannot be had."""
        ...

    @property
    def reach(self) -> Reach:
        """What lies outside the run; for steps whose component says its effects."""
        ...


class StepFailed(Exception):
    """Why a step has no result: `kind` is for programs (`mailbox.empty`), the message names the fact for people.

    step: the one in a nested graph that is to blame.
    """

    def __init__(self, kind: str, message: str, *, retryable: bool = False, step: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.retryable = retryable
        self.step = step


T = TypeVar("T")


def message(inputs: Inputs, port: str, type_: type[T]) -> T:
    """The message of a port as a type; raises StepFailed `input.invalid` that names the field."""
    try:
        return msgspec.convert(inputs[port], type_)
    except msgspec.ValidationError as error:
        raise StepFailed("input.invalid", f"{port}: {error}") from None


class Collector(Protocol):
    """Takes every message of its inputs; `finish` is awaited once, when they have ended, and emits."""

    def receive(self, inputs: Inputs, /) -> None: ...
    async def finish(self) -> None: ...


class NestedStep(Step, Protocol):
    """The step of a driver. `body` is the graph that it runs."""

    @property
    def body(self) -> Graph: ...

    def listens(self, port: str) -> bool:
        """Whether anything takes what leaves by a port."""
        ...

    def place(self, number: int, port: str, value: object) -> None:
        """Emit what the body gave in its turn of this number, before or after others: only where results have no order."""
        ...


class BodyFailed(Struct, frozen=True):
    """Why a body has come to nothing: the path of the step in it, what that said, and whether another attempt may help."""

    step: str
    kind: str
    message: str
    retryable: bool = False


class Driver(Protocol):
    """Runs the graph of a node in one activation: how often, with what, and what becomes of the results.

    at_once: how many turns of the body are at work at a time. Turns are numbered from 0 in the order of `next`; what `next`
    gives follows from the inputs and the results so far alone, so that a repetition asks for the same.
    """

    at_once: int

    def next(self) -> Mapping[str, object] | None:
        """What the body starts with in its next turn; None: in none, or none before another has ended."""
        ...

    def ended(self, number: int, outputs: Mapping[str, object], /) -> None:
        """What a turn gave: the last message of an output, where there was one; all of them in order, if it is `many`."""
        ...

    def failed(self, number: int, failure: BodyFailed, /) -> None:
        """A turn has failed; raise StepFailed to fail with it."""
        ...

    def finish(self) -> None:
        """No turn is at work, and `next` gave none."""
        ...


class Wait(Struct, frozen=True):
    """What an activation waits for that is outside of every process: an answer, a time, the end of another run.

    kind: who brings the outcome (`polis.runtime.waits`); name: what for, so that it is found; data: JSON for that one.
    due_s: how long at the most, from when the wait is durable; due_at: until when; both by the database's clock.
    late: what it emits when it is due and nobody has brought an outcome; None: the step fails with `wait.timeout`.
    """

    kind: str
    name: str = ""
    due_s: float | None = None
    due_at: datetime | None = None
    late: tuple[tuple[str, object], ...] | None = None
    data: object = None


Inline = Callable[[Step, Inputs], None]
Task = Callable[[Step, Inputs], Coroutine[object, object, None]]
Needs = Callable[[Mapping[str, object]], tuple[str, ...]]
Waiting = Callable[[Step, Inputs], Wait | Coroutine[object, object, Wait]]
Runnable = Inline | Task | Callable[[Step], Collector] | Callable[[NestedStep, Inputs], Driver]
F = TypeVar("F", bound=Runnable)
W = TypeVar("W", bound=Waiting)


def _no_scopes(_: Mapping[str, object]) -> tuple[str, ...]:
    return ()


class Implementation(Struct, frozen=True, eq=False):
    """A component that this runtime can run: one of `inline`, `task`, `collector`, `waiting` and `driver` is set.

    needs: scopes that follow from the configuration, besides the component's. Whether a configuration can work says
    `polis.graph.config_faults`, from what the component declares: it was asked before the graph was stored.
    """

    component: Component
    inline: Inline | None = None
    task: Task | None = None
    collector: Callable[[Step], Collector] | None = None
    waiting: Waiting | None = None
    needs: Needs = _no_scopes
    driver: Callable[[NestedStep, Inputs], Driver] | None = None


_implementations: dict[str, Implementation] = {}


def component(key: str, *, needs: Needs = _no_scopes) -> Callable[[F], F]:
    """Register what runs the built-in component `key`; KeyError when no descriptor ships under this name."""

    def register(run: F) -> F:
        made = _implementation(run, builtin.components()[key])
        _implementations[key] = msgspec.structs.replace(made, needs=needs)
        return run

    return register


def waiting(key: str, *, needs: Needs = _no_scopes) -> Callable[[W], W]:
    """Register what says for what the component `key` waits; it is none that is pure. KeyError as above."""

    def register(run: W) -> W:
        described = builtin.components()[key]
        if described.pure:
            raise ValueError(f"{key}: what comes from outside is not pure")
        _implementations[key] = Implementation(described, waiting=run, needs=needs)
        return run

    return register


def _implementation(run: Runnable, component: Component) -> Implementation:
    if component.body is not None:
        return Implementation(component, driver=run)  # type: ignore[arg-type] # what a body asks for
    if inspect.isclass(run):
        return Implementation(component, collector=run)  # type: ignore[arg-type] # its instances are
    if inspect.iscoroutinefunction(run):
        return Implementation(component, task=run)
    return Implementation(component, inline=run)  # type: ignore[arg-type] # what is left


def implementation(key: str) -> Implementation | None:
    """What runs a component; None for one that this runtime does not have. It is imported when it is first asked for."""
    if key not in _implementations and key in MODULES:
        import_module(f"polis.runtime.components.{MODULES[key]}")
    return _implementations.get(key)


def implementations() -> Mapping[str, Implementation]:
    """Every built-in component by its key."""
    for key in MODULES:
        implementation(key)
    return _implementations
