"""One activation of a node: as the engine follows it over its attempts, and as its implementation sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Literal, Protocol

from msgspec import Struct

from polis.proto.graph import Graph
from polis.runtime.component import Inputs, Logger, StepFailed, Wait
from polis.runtime.engine import item as items
from polis.runtime.engine.item import Item
from polis.runtime.engine.provenance import unapproved

if TYPE_CHECKING:
    from polis.proto.runtime import LineLevel
    from polis.runtime.engine.bodies import Bodies
    from polis.runtime.engine.frame import Frame
    from polis.runtime.engine.line import Line
    from polis.runtime.engine.machine import Machine
    from polis.runtime.engine.node import NodeRun
    from polis.runtime.reach import Reach

ActivationState = Literal["ready", "running", "retrying", "recording", "waiting", "done"]


class Failure(Struct, frozen=True):
    """Why an attempt had no result. step: the one in a nested graph that is to blame, where it is not the node itself."""

    kind: str
    message: str
    retryable: bool = False
    step: str = ""


class Recorded(Struct, frozen=True, omit_defaults=True):
    """The outcome of an activation as the journal holds it: what it emitted, or how it failed for good.

    sent: what a pure step had emitted before it failed; that is recomputed and cut off there. attempts: how many it took.
    chosen: no outcome, but which messages came together, by wire and lineage (`latest`).
    at_ms: of an attempt that has failed (`MISSED`), when the next one is due, where that is a while; counted from when the run was created, as here are all times.
    nth, inputs: of what can be undone: which outcome of the run it was, and what it was made of.
    ended: no outcome either, but how the run ends when all that can be has been undone; at_ms: when that was certain.
    cost: what it has cost elsewhere, as whoever brings it says.
    """

    emitted: tuple[tuple[str, object], ...] = ()
    failure: Failure | None = None
    sent: int = 0
    attempts: int = 0
    chosen: tuple[tuple[int, Item], ...] = ()
    nth: int = 0
    inputs: dict[str, object] = {}
    ended: Literal["", "failed", "cancelled"] = ""
    at_ms: int = 0
    cost: int = 0


CHOICE = "/@latest"
"""Behind the path of a node: where the journal has which messages came together in an item."""
MISSED = "/@missed"
"""Behind the path of a node: where the journal has that an attempt of an item, by its number, has failed.

It is there where a graph in a graph is done anew, and where the next attempt is so late that the run may rest until then.
"""


class Host(Protocol):
    """What a step may do besides emitting: the shell does it, the engine only hands it on."""

    def log(self, node: str) -> Logger: ...
    def crashed(self, node: str, error: Exception) -> None: ...
    async def room(self, attempt: Attempt) -> None: ...
    def artifact(self, artifact_id: str) -> AsyncIterator[bytes]: ...
    @property
    def reach(self) -> Reach: ...


class Activation:
    """One item in one node, over all its attempts.

    held: emissions that wait, because an earlier item of the node has not ended or the result is not durable yet.
    sent: emissions that have gone on, so the ordinal of the next one. accepted: sent and held together; a repeated
    attempt of a pure step emits the same again, and that many are skipped.
    origins: what its inputs were made of. choice: the messages that came together in it, until that is durable. at_work: its attempt that the shell runs. bodies: the graph that it runs, at work.
    streams: emissions go on at once. waits: the attempt that waits for room. cut: a recorded failure of a pure step, which
    ends it at the same emission again. missed: the attempt that has failed, until that is durable. due: when the next attempt
    is; deferred: that this is durable. line: what it has said in the run's log. outside: what it waits for that another process or the time will bring.
    """

    __slots__ = (
        "accepted", "at_work", "attempt", "bodies", "choice", "cut", "deferred", "due", "failure", "frame", "held", "inputs", "item", "line", "missed", "node", "origins", "outside",
        "sent", "state", "streams", "waits",
    )  # fmt: skip

    def __init__(self, frame: Frame, node: NodeRun, item: Item, inputs: Inputs) -> None:
        self.frame = frame
        self.node = node
        self.item = item
        self.inputs = inputs
        self.attempt = 0
        self.at_work: Attempt | None = None
        self.bodies: Bodies | None = None
        self.choice: tuple[tuple[int, Item], ...] = ()
        self.state: ActivationState = "ready"
        self.held: list[tuple[str, object]] = []
        self.sent = 0
        self.accepted = 0
        self.streams = False
        self.waits: Attempt | None = None
        self.cut: Recorded | None = None
        self.failure: Failure | None = None
        self.missed = 0
        self.due = 0.0
        self.deferred = False
        self.line: Line | None = None
        self.origins = node.origins
        self.outside: Wait | None = None

    @property
    def machine(self) -> Machine:
        return self.frame.machine

    @property
    def place(self) -> tuple[str, Item]:
        """Where it is in its run: the path of its node and the whole item, as the journal names it."""
        around = self.frame.item
        item = (*around, *self.item) if around else self.item
        if self.missed:
            return self.node.stage.path + MISSED, (*item, self.missed)
        return self.node.stage.path + CHOICE if self.choice else self.node.stage.path, item

    @property
    def key(self) -> str:
        return items.key(self.machine.run, *self.place)


def choice_place(frame: Frame, node: NodeRun) -> tuple[str, Item]:
    """Where the journal has which messages came together in the next item of a node."""
    return node.stage.path + CHOICE, (*frame.item, node.paired)


class Attempt:
    """The step that a task, a collector or an effect sees. What it says after its end is not heard."""

    __slots__ = ("_emitted", "activation", "began", "number", "seen")

    def __init__(self, activation: Activation) -> None:
        activation.attempt += 1
        self.activation = activation
        self.number = activation.attempt
        self.began = self.seen = activation.machine.now
        self._emitted = 0
        activation.machine.history.began(self)

    @property
    def current(self) -> bool:
        """Whether the engine still waits for this attempt."""
        activation = self.activation
        running = activation.state == "running" and activation.attempt == self.number
        return running and not activation.frame.over

    @property
    def config(self) -> Mapping[str, object]:
        return self.activation.node.stage.config

    @property
    def key(self) -> str:
        return self.activation.key

    @property
    def log(self) -> Logger:
        return self.activation.machine.host.log(self.activation.node.stage.path)

    def emit(self, port: str, value: object) -> None:
        if port not in self.activation.node.stage.component.outputs:
            raise unknown_port(self.activation.node, port)
        if not self.current:
            return
        self._emitted += 1
        if self._emitted > self.activation.accepted:
            self.activation.machine.attempts.emitted(self, port, value)

    @property
    def body(self) -> Graph:
        """Of a driver: the graph that it runs."""
        body = self.activation.node.stage.body
        if body is None:
            raise AssertionError("it runs none")
        return body.graph

    @property
    def sources(self) -> tuple[str, ...]:
        return unapproved(self.activation.origins)

    def listens(self, port: str) -> bool:
        stage = self.activation.node.stage
        return port in stage.routes or port in stage.exits

    def place(self, number: int, port: str, value: object) -> None:
        """Emit under an ordinal of one's own: results of a nested graph that go on as they come."""
        activation = self.activation
        if self.current and activation.node.stage.unordered:
            activation.node.origins = activation.origins
            activation.frame.send(activation.node, activation.item, number, port, value)
        else:
            self.emit(port, value)

    def wait_for(self, wait: Wait) -> None:
        """The outcome comes from outside: when this attempt has ended, the activation waits for it."""
        if self.current:
            self.activation.outside = wait

    async def room(self) -> None:
        await self.activation.machine.host.room(self)

    def heartbeat(self) -> None:
        self.seen = self.activation.machine.clock()

    def say(self, level: LineLevel, message: str, value: object = None) -> None:
        if self.current:
            self.activation.machine.attempts.said(self.activation, level, message, value)

    def progress(self, done: int, total: int | None = None) -> None:
        self.heartbeat()
        if self.current:
            node = self.activation.node
            node.progress = (done, total)
            self.activation.frame.touch(node)

    def cost(self, millionths: int) -> None:
        if self.current:
            self.activation.machine.history.cost(self.activation, millionths)

    def artifact(self, artifact_id: str) -> AsyncIterator[bytes]:
        return self.activation.machine.host.artifact(artifact_id)

    @property
    def reach(self) -> Reach:
        return self.activation.machine.host.reach


class InlineStep:
    """The step of a pure function: one object serves all items of a node, since none is kept after the call."""

    __slots__ = ("_frame", "_node", "config", "count", "item")

    def __init__(self, frame: Frame, node: NodeRun) -> None:
        self._frame = frame
        self._node = node
        self.config = node.stage.config
        self.item: Item = items.ROOT
        self.count = 0

    @property
    def key(self) -> str:
        return items.key(self._frame.machine.run, self._node.stage.path, (*self._frame.item, *self.item))

    @property
    def log(self) -> Logger:
        return self._frame.machine.host.log(self._node.stage.path)

    def emit(self, port: str, value: object) -> None:
        ordinal = self.count
        self.count = ordinal + 1
        self._frame.send(self._node, self.item, ordinal, port, value)

    @property
    def sources(self) -> tuple[str, ...]:
        return unapproved(self._node.origins)

    async def room(self) -> None:
        """A function cannot wait: what it emits is one activation's worth."""

    def heartbeat(self) -> None:
        """A function is over before anybody could miss it."""

    def say(self, level: LineLevel, message: str, value: object = None) -> None:
        """What is computed again would be said again."""

    def progress(self, done: int, total: int | None = None) -> None:
        self._node.progress = (done, total)
        self._frame.touch(self._node)

    def cost(self, millionths: int) -> None:
        """A function costs nothing but its time."""

    def artifact(self, artifact_id: str) -> AsyncIterator[bytes]:
        return self._frame.machine.host.artifact(artifact_id)

    @property
    def reach(self) -> Reach:
        return self._frame.machine.host.reach


def unknown_port(node: NodeRun, port: str) -> StepFailed:
    return StepFailed("port.unknown", f"`{node.stage.component.key}` has no output `{port}`")
