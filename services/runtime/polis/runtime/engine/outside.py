"""The waits of a run: activations whose outcome comes from outside, in whatever order, and at whatever time."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, cast

import msgspec

from polis.proto.graph import ERROR_PORT
from polis.runtime.component import Inline, Inputs, Task, Wait
from polis.runtime.engine.activation import Activation, Attempt, Failure, Recorded
from polis.runtime.engine.failure import NO_JSON, misgiven
from polis.runtime.engine.requests import Close, Open

if TYPE_CHECKING:
    from polis.runtime.component import Step, Waiting
    from polis.runtime.engine.item import Item
    from polis.runtime.engine.machine import Machine

MAX_OPEN = 1_000
"""Waits of one node that are open at a time; with a concurrency of 1 they are opened one after the other."""

MAX_WAIT_BYTES = 1024 * 1024
"""Bytes of what a wait holds: its outcome when it is due, and what it tells."""

_encode = msgspec.json.Encoder().encode
_noted = msgspec.json.Decoder(Recorded)
Place = tuple[str, "Item"]


class Outside:
    """What a run waits for. `open` has its activations by node and item.

    before: what it waits for since another process had it: what is waited for is not asked again.
    """

    __slots__ = ("_before", "_machine", "open")

    def __init__(self, machine: Machine, before: Mapping[Place, bytes | None]) -> None:
        self._machine = machine
        self._before = set(before)
        numbers = [_noted.decode(note).nth for note in before.values() if note is not None]
        machine.attempts.undoable = max(machine.attempts.undoable, *numbers, 0)
        self.open: dict[Place, Activation] = {}

    def waited(self, place: Place) -> bool:
        """Whether it was waited for there when another process had the run."""
        return place in self._before

    def goes_on(self, activation: Activation) -> bool:
        """Wait on for what was waited for before; false when this is a new wait."""
        if activation.place not in self._before:
            return False
        self._before.discard(activation.place)
        self._hold(activation)
        return True

    def begin(self, activation: Activation, wait: Wait) -> None:
        """Wait, from when that is durable. A limit of the step is one of the wait, where that has none."""
        node = activation.node
        limit = node.stage.timeout_s
        if limit is not None and wait.due_s is None and wait.due_at is None:
            wait = msgspec.structs.replace(wait, due_s=limit)
        activation.held.clear()
        try:
            note = self._note(activation)
            undo = None if note is None else _encode(note)
            late, data = _encode(undoable(_late(wait), undo)), _encode(wait.data)
        except NO_JSON as error:
            activation.frame.fail(node, Failure("wait.invalid", f"no JSON value: {error}"))
            return
        if (size := max(len(late), len(data))) > MAX_WAIT_BYTES:
            detail = f"what it holds has {size:,} bytes of JSON; {MAX_WAIT_BYTES:,} are the most"
            activation.frame.fail(node, Failure("wait.too_large", detail))
            return
        self._hold(activation)
        self._machine.requests.append(Open(activation, wait, late, data, undo))

    def _note(self, activation: Activation) -> Recorded | None:
        """What makes an outcome one that can be undone. Its place among the others is that of its beginning."""
        attempts = self._machine.attempts
        if activation.node.stage.undo is None:
            return None
        attempts.undoable += 1
        return Recorded(nth=attempts.undoable, inputs=dict(activation.inputs))

    def _hold(self, activation: Activation) -> None:
        activation.state = activation.node.state = "waiting"
        self.open[activation.place] = activation
        activation.frame.touch(activation.node)

    def completed(self, place: Place, outcome: Recorded) -> bool:
        """The outcome is durable: what depends on it may happen. False for one that is not waited for (any more)."""
        activation = self.open.pop(place, None)
        if activation is None or self._machine.state != "running":
            return False
        node = activation.node
        node.state = "running"
        self.settle(activation, outcome)
        activation.frame.touch(node)
        self._machine.attempts.advance(activation)
        return True

    def drop(self, activation: Activation) -> None:
        """The graph in the graph that it is in has ended, or the run: nobody waits for it any more."""
        if self.open.pop(activation.place, None) is not None:
            self._machine.requests.append(Close(activation))

    def settle(self, activation: Activation, outcome: Recorded) -> None:
        """Take an outcome as it was brought, now or before a crash; who brought it knows nothing of the graph."""
        node, attempts = activation.node, self._machine.attempts
        attempts.undoable = max(attempts.undoable, outcome.nth)
        activation.state = "done"
        activation.held = list(outcome.emitted)
        activation.attempt = 1
        activation.failure = outcome.failure or _misgiven(activation, outcome)
        if outcome.cost:
            self._machine.history.cost(activation, outcome.cost)
        self._machine.history.ended(activation, activation.failure)
        if activation.failure is None:
            return
        activation.held.clear()
        node.missed += 1
        node.error = activation.failure.message
        if ERROR_PORT not in node.stage.routes and ERROR_PORT not in node.stage.exits:
            activation.frame.fail(node, activation.failure)


def undoable(outcome: Recorded, note: bytes | None) -> Recorded:
    """An outcome as the journal takes it: what took effect elsewhere is numbered, and keeps what it was made of."""
    if note is None or outcome.failure is not None:
        return outcome
    noted = _noted.decode(note)
    return msgspec.structs.replace(outcome, nth=noted.nth, inputs=noted.inputs)


def opener(waiting: Waiting) -> tuple[Inline | None, Task | None]:
    """A function that says what to wait for, as the shape that the engine calls: inline, or a task."""
    if iscoroutinefunction(waiting):
        finds = cast("Callable[[Step, Inputs], Coroutine[object, object, Wait]]", waiting)

        async def task(step: Step, inputs: Inputs) -> None:
            wait = await finds(step, inputs)
            cast("Attempt", step).wait_for(wait)

        return None, task
    says = cast("Callable[[Step, Inputs], Wait]", waiting)

    def inline(step: Step, inputs: Inputs) -> None:
        cast("Attempt", step).wait_for(says(step, inputs))

    return inline, None


def _late(wait: Wait) -> Recorded:
    """The outcome of a wait that is due."""
    if wait.late is not None:
        return Recorded(emitted=wait.late)
    return Recorded(
        failure=Failure("wait.timeout", f"nothing came in time ({wait.kind} {wait.name})".strip())
    )


def _misgiven(activation: Activation, outcome: Recorded) -> Failure | None:
    """Who brought it knows nothing of the graph."""
    stage = activation.node.stage
    for port, value in outcome.emitted:
        if port not in stage.component.outputs:
            return Failure("port.unknown", f"`{stage.component.key}` has no output `{port}`")
        if (wrong := misgiven(stage, port, value)) is not None:
            return wrong
    return None
