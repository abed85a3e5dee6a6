"""The items at work in a run's nodes: their attempts, outcomes made durable, results let go in their order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import TYPE_CHECKING

import msgspec

from polis.proto.graph import ERROR_PORT
from polis.runtime.component import Driver, Inputs, NestedStep, StepFailed
from polis.runtime.engine.activation import (
    MISSED,
    Activation,
    Attempt,
    Failure,
    Recorded,
    choice_place,
)
from polis.runtime.engine.bodies import Bodies
from polis.runtime.engine.failure import NO_JSON, error_of, may_help, misgiven
from polis.runtime.engine.inboxes import MAX_QUEUE
from polis.runtime.engine.line import line
from polis.runtime.engine.repeats import Repeats
from polis.runtime.engine.requests import Abort, Launch, Record, Room
from polis.runtime.engine.timers import Timers

if TYPE_CHECKING:
    from polis.proto.runtime import LineLevel
    from polis.runtime.engine.frame import Frame
    from polis.runtime.engine.item import Item
    from polis.runtime.engine.machine import Machine
    from polis.runtime.engine.node import NodeRun
    from polis.runtime.engine.program import Program

MAX_RESULT_BYTES = 1024 * 1024
"""Bytes of an effect's result in the journal."""

NOT_NEEDED = Failure("step.not_needed", "nobody waits for it any more")
_recorded = msgspec.json.Decoder(Recorded)


class Attempts:
    """Every item of a run that is followed by itself.

    undoable: outcomes so far that can be undone. running: attempts at work; waiting: those of them that wait for room;
    recording: activations in between. repeats: those that are attempted again.
    """

    __slots__ = (
        "_machine", "_recorded", "recording", "repeats", "running", "timers", "undoable", "waiting",
    )  # fmt: skip

    def __init__(
        self, machine: Machine, random: Random, recorded: Mapping[tuple[str, Item], Recorded]
    ) -> None:
        self._machine = machine
        self._recorded = {place: known for place, known in recorded.items() if not place[0].endswith(MISSED)}
        self.undoable = max((known.nth for known in recorded.values()), default=0)
        self.timers = Timers(machine)
        self.repeats = Repeats(machine, random, recorded)
        self.running = self.waiting = self.recording = 0

    @property
    def stuck(self) -> bool:
        """Whether nothing will happen by itself: every attempt waits for room, and nothing else is under way."""
        return self.quiet and not (self.repeats.waiting or self._machine.outside.open)

    @property
    def rests(self) -> bool:
        """Whether nothing is at work, and nothing repeated soon: what waits for room is pure, so it is as well begun anew later."""
        return self.quiet and self.repeats.may_rest

    @property
    def quiet(self) -> bool:
        """Whether nothing is at work that would be lost, were the run begun anew: who is to be repeated is not."""
        return self.running == self.waiting and not self.recording

    def knows(self, place: tuple[str, Item]) -> bool:
        """Whether the journal has an outcome that has not been replayed yet."""
        return place in self._recorded

    def choice(self, frame: Frame, node: NodeRun) -> Recorded | None:
        """What the journal says of which messages came together in the next item of a node."""
        return self._recorded.get(choice_place(frame, node)) if self._recorded else None

    def chosen(self, frame: Frame, node: NodeRun) -> None:
        """They have come together again."""
        del self._recorded[choice_place(frame, node)]

    def choose(
        self, activation: Activation, choice: tuple[tuple[int, Item], ...], wrong: Failure | None
    ) -> None:
        """Make durable which messages came together, before anything comes of it; then begin, or fail as is known."""
        activation.choice = choice
        activation.failure = wrong
        self.record(activation, Recorded(chosen=choice))

    def record(self, activation: Activation, outcome: Recorded) -> None:
        """Make durable what is none of its results; it goes on when `recorded` is called."""
        activation.state = "recording"
        self.recording += 1
        self._machine.requests.append(Record(activation, msgspec.json.encode(outcome)))

    def add(self, frame: Frame, node: NodeRun, item: Item, inputs: Inputs) -> Activation:
        """Follow an item. What the journal knows of it is replayed at once."""
        activation = Activation(frame, node, item, inputs)
        node.window.append(activation)
        activation.streams = not node.stage.whole and len(node.window) == 1
        known = self._recorded.pop(activation.place, None) if self._recorded else None
        if known is not None:
            self._replay(activation, known)
        else:
            self.repeats.go_on(activation)
        return activation

    def begin(self, activation: Activation) -> None:
        """Make the next attempt: an effect that is a function is called here, a task is for the shell."""
        node = activation.node
        node.attempts += 1
        if node.stage.waits and self._machine.outside.goes_on(activation):
            return
        node.state = "running"
        activation.frame.touch(node)
        activation.state = "running"
        attempt = Attempt(activation)
        if node.stage.driver is not None and node.stage.body is not None:
            self._begin_body(attempt, node.stage.driver, node.stage.body)
            return
        if node.stage.inline is None:
            self.launch(attempt)
            return
        try:
            node.stage.inline(attempt, activation.inputs)
        except Exception as error:  # noqa: BLE001 - a component may raise anything: it is its run's failure
            if attempt.current:
                self.miss(activation, activation.frame.failure(node, error))
        else:
            if attempt.current:
                self._complete(activation)

    def launch(self, attempt: Attempt) -> None:
        attempt.activation.at_work = attempt
        self.running += 1
        self._machine.requests.append(Launch(attempt))
        self.timers.limit(attempt)

    def drop(self, activation: Activation) -> None:
        """Nobody waits for it any more, whatever it is at."""
        self._machine.history.ended(activation, NOT_NEEDED)
        state, attempt = activation.state, activation.at_work
        if state == "running" and attempt is not None:
            self._take_off(attempt)  # it is not current any more once its frame is over
            self._machine.requests.append(Abort(attempt))
        elif state == "retrying":
            self.repeats.end(activation)
        elif state == "recording":
            self.recording -= 1
        elif state == "waiting":
            self._machine.outside.drop(activation)
        if activation.bodies is not None:
            activation.bodies.close()
        activation.state = "done"

    def has_room(self, activation: Activation) -> bool:
        """Whether what it emits fits the bounds of the nodes behind it."""
        if activation.streams or activation.node.stage.unordered:
            return activation.node.blocked == 0
        # What is let go together when it has ended would wait for that for ever.
        return activation.node.stage.whole or len(activation.held) < activation.node.bound

    def _begin_body(
        self, attempt: Attempt, driver: Callable[[NestedStep, Inputs], Driver], body: Program
    ) -> None:
        activation = attempt.activation
        try:
            drives = driver(attempt, activation.inputs)
        except Exception as error:  # noqa: BLE001 - as above
            self.miss(activation, activation.frame.failure(activation.node, error))
            return
        activation.bodies = Bodies(attempt, drives, body)
        activation.frame.mark_ready(activation.node)
        attempt.began = self._machine.history.first_began(attempt)
        self.timers.limit(attempt)

    def _chosen(self, activation: Activation) -> None:
        """It is durable which messages came together."""
        node, wrong = activation.node, activation.failure
        activation.choice, activation.failure = (), None
        activation.frame.mark_ready(node)
        if wrong is None:
            self.begin(activation)
            return
        activation.attempt = 1
        node.attempts += 1
        self.miss(activation, wrong)

    def finished(self, attempt: Attempt) -> None:
        if self._stop(attempt):
            self._complete(attempt.activation)

    def failed(self, attempt: Attempt, error: Exception) -> None:
        if self._stop(attempt):
            activation = attempt.activation
            self.miss(activation, activation.frame.failure(activation.node, error))

    def recorded(self, activation: Activation) -> None:
        if activation.state != "recording":
            return
        self.recording -= 1
        if activation.missed:
            self.repeats.recorded(activation)
        elif activation.choice:
            self._chosen(activation)
        else:
            activation.state = "done"
            self.advance(activation)

    def emitted(self, attempt: Attempt, port: str, value: object) -> None:
        """A message from an attempt that is still waited for."""
        activation = attempt.activation
        if activation.node.stage.gives and (wrong := misgiven(activation.node.stage, port, value)):
            raise StepFailed(wrong.kind, wrong.message)
        if activation.node.stage.exposure is not None:
            self._machine.history.emitted(activation, port, value)
        activation.accepted += 1
        if activation.streams:
            activation.sent += 1
            activation.node.origins = activation.origins
            activation.frame.send(activation.node, activation.item, activation.sent - 1, port, value)
            activation.frame.stir()
        elif len(activation.held) >= MAX_QUEUE:
            raise StepFailed("step.emits_too_much", f"more than {MAX_QUEUE:,} messages before it ended")
        else:
            activation.held.append((port, value))
        cut = activation.cut
        if cut is not None and cut.failure is not None and activation.accepted >= cut.sent:
            self._machine.requests.append(Abort(attempt))
            self._stop(attempt)
            self._give_up(activation, cut.failure)

    def said(self, activation: Activation, level: LineLevel, message: str, value: object) -> None:
        """A line of an attempt that is still waited for: it goes with what that comes to."""
        activation.line = line(activation, level, message, value)

    def miss(self, activation: Activation, failure: Failure) -> None:
        """An attempt had no result: try again, send the error out of its port, or fail the run."""
        self._machine.history.ended(activation, failure)
        node, retry = activation.node, activation.node.stage.retry
        node.missed += 1
        node.error = failure.message
        activation.frame.touch(node)
        if activation.cut is not None and activation.cut.failure is not None:
            self._give_up(activation, activation.cut.failure)
            return
        if node.stage.whole:
            activation.held.clear()
            activation.accepted = activation.sent
            activation.line = None
        again = retry is not None and may_help(retry, failure) and node.stage.collector is None
        if retry is not None and again and activation.attempt < retry.attempts:
            self.repeats.ask(activation, retry)
        elif ERROR_PORT not in node.stage.routes and ERROR_PORT not in node.stage.exits:
            activation.frame.fail(node, failure)
        elif node.step is not None:
            self._give_up(activation, failure)  # a pure function fails again in the same way
        else:
            activation.failure = failure
            outcome = Recorded(failure=failure, sent=activation.accepted, attempts=activation.attempt)
            self._record(activation, outcome)

    def advance(self, activation: Activation) -> None:
        """Let go of what has ended at the head of the window, so that results leave in the order of their items."""
        frame, node = activation.frame, activation.node
        window = node.window
        while window and not frame.over:
            head = window[0]
            if head.state == "done" or not node.stage.whole:
                self._let_go(head)
            if head.state != "done":
                head.streams = not node.stage.whole
                break
            window.popleft()
            if head.failure is not None:
                node.origins = head.origins
                frame.send(node, head.item, head.sent, ERROR_PORT, error_of(head))
        frame.mark_ready(node)

    def wait_for_room(self, attempt: Attempt) -> bool:
        activation = attempt.activation
        if not attempt.current or self.has_room(activation):
            return False
        if activation.waits is None:
            self.waiting += 1
        activation.waits = attempt
        return True

    def call_waiting(self, node: NodeRun) -> None:
        """Let those go on that have room now."""
        for activation in node.window:
            if activation.waits is not None and self.has_room(activation):
                self._machine.requests.append(Room(activation.waits))
                self._no_longer_waits(activation)

    def _no_longer_waits(self, activation: Activation) -> None:
        if activation.waits is not None:
            activation.waits = None
            self.waiting -= 1

    def _stop(self, attempt: Attempt) -> bool:
        """Take an attempt off those that run; False for one that nobody waits for any more."""
        if not attempt.current:
            return False
        self._take_off(attempt)
        if attempt.activation.bodies is not None:
            attempt.activation.bodies.close()
        return True

    def _take_off(self, attempt: Attempt) -> None:
        activation = attempt.activation
        self._no_longer_waits(activation)
        if activation.at_work is attempt:
            activation.at_work = None
            self.running -= 1

    def _complete(self, activation: Activation) -> None:
        if activation.outside is not None:
            self._machine.outside.begin(activation, activation.outside)
            return
        self._machine.history.ended(activation, None)
        if activation.cut is not None and activation.cut.failure is not None:
            self._give_up(activation, activation.cut.failure)
        elif not activation.node.stage.whole:
            activation.state = "done"
            self.advance(activation)
        else:
            self._record(activation, Recorded(emitted=tuple(activation.held)))

    def _give_up(self, activation: Activation, failure: Failure) -> None:
        self._machine.history.ended(activation, failure)
        activation.failure = failure
        if activation.cut is not None:
            activation.attempt = activation.cut.attempts
        activation.node.error = failure.message
        activation.state = "done"
        self.advance(activation)

    def _record(self, activation: Activation, outcome: Recorded) -> None:
        """Ask for an outcome to be made durable. What goes on afterwards is what a recovery would read."""
        if activation.node.stage.undo is not None and outcome.failure is None:
            self.undoable += 1
            inputs = dict(activation.inputs)
            outcome = msgspec.structs.replace(outcome, nth=self.undoable, inputs=inputs)
        try:
            body = msgspec.json.encode(outcome)
        except NO_JSON as error:
            activation.frame.fail(activation.node, Failure("step.result_invalid", f"no JSON value: {error}"))
            return
        if len(body) > MAX_RESULT_BYTES:
            detail = f"its result has {len(body):,} bytes of JSON; {MAX_RESULT_BYTES:,} are the most"
            activation.frame.fail(activation.node, Failure("step.result_too_large", detail))
            return
        if outcome.failure is None:
            activation.held = list(_recorded.decode(body).emitted)
        self._machine.requests.append(Record(activation, body, activation.line))
        if activation.node.stage.last_effect:
            # Only computing follows, and nobody sees of that before the record that has this outcome in it too.
            activation.state = "done"
            self.advance(activation)
        else:
            activation.state = "recording"
            self.recording += 1

    def _replay(self, activation: Activation, known: Recorded) -> None:
        if known.failure is not None and activation.node.stage.pure and known.sent > 0:
            activation.cut = known
            return
        activation.node.attempts += 1
        if activation.node.stage.waits:
            self._machine.outside.settle(activation, known)
            return
        activation.held = list(known.emitted)
        activation.failure = known.failure
        activation.attempt = known.attempts
        activation.state = "done"
        self._machine.history.ended(activation, known.failure)

    def _let_go(self, activation: Activation) -> None:
        activation.node.origins = activation.origins
        for port, value in activation.held:
            activation.sent += 1
            activation.frame.send(activation.node, activation.item, activation.sent - 1, port, value)
        activation.held.clear()
