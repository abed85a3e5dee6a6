"""The engine: one run of a program as a state machine without I/O.

Its inputs are method calls (`start`, `turn`, `finished`, `failed`, `recorded`, `completed`, `wake`, `cancel`), its
outputs the list `requests`. It reads a clock and a source of randomness that are given to it, so a seeded scheduler can drive it through
any order of events. Results never depend on that order: items are named by lineage, each node lets go of its items in
their order, and where branches meet by chance whoever depends on the order sorts first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import TYPE_CHECKING, Literal

from polis.proto.graph import ERROR_PORT
from polis.proto.runtime import RunError, Step, StepState
from polis.runtime.component import Inputs
from polis.runtime.engine.activation import Activation, Attempt, Failure, Host, Recorded, unknown_port
from polis.runtime.engine.attempts import Attempts
from polis.runtime.engine.failure import failure_of, misfit
from polis.runtime.engine.inboxes import MAX_QUEUE, Inboxes
from polis.runtime.engine.item import ROOT, Item
from polis.runtime.engine.node import NodeRun, node_of
from polis.runtime.engine.outputs import MAX_OUTPUT_BYTES, Outputs, OutputTooLarge
from polis.runtime.engine.outside import Outside
from polis.runtime.engine.requests import Ended, Record, Request

if TYPE_CHECKING:
    from polis.runtime.engine.program import Program

MESSAGES_PER_CLOCK = 8
"""Messages that a function takes before the time is looked at; each takes microseconds, as components promise."""

Taken = tuple[Item, Inputs, Failure | None]


class Machine:
    """One run. The shell empties `requests` and carries them out after each call.

    recorded: outcomes from the journal by (node, item); they are replayed instead of repeated.
    elapsed_s: how long ago the run was created.
    """

    def __init__(
        self,
        run: str,
        program: Program,
        host: Host,
        *,
        clock: Callable[[], float],
        random: Random,
        recorded: Mapping[tuple[str, Item], Recorded] | None = None,
        elapsed_s: float = 0.0,
    ) -> None:
        self.run = run
        self.program = program
        self.host = host
        self.state: Literal["running", "succeeded", "failed", "cancelled"] = "running"
        self.requests: list[Request] = []
        self.now = clock()
        self.created_at = self.now - elapsed_s
        self.deadline = self.created_at + program.graph.timeout_s
        self.nodes = [node_of(self, stage) for stage in program.stages]
        self.attempts = Attempts(self, random, recorded or {})
        self.outside = Outside(self)
        self._clock = clock
        self._inboxes = Inboxes(self.nodes, program.roots)
        self._outputs = Outputs(program)
        self._changed = 0
        self._facts: list[Step] = []
        self._left = len(self.nodes)
        self._turn_ends = 0.0

    def start(self, inputs: Mapping[str, object]) -> None:
        """Deliver what the run starts with: values by the names of the graph's inputs, checked before."""
        graph, entries = self.program.graph, self.program.plan.entries
        for name in sorted(graph.inputs):
            value = inputs.get(name, graph.inputs[name].default)
            if value is not None or name in inputs:
                self._inboxes.deliver(entries[name].node, entries[name].wire, ROOT, value)
        for node in self.nodes:
            if node.queues is not None:
                sources = node.stage.port_sources
                node.live = tuple(port for port, queue in node.queues.items() if queue or sources[port])

    def turn(self, budget_s: float) -> bool:
        """Run what can run now, the nodes nearest to the end first, for about this long; whether more is ready."""
        self.now = self._clock()
        self._turn_ends = self.now + budget_s
        inboxes = self._inboxes
        while inboxes.ready and self.state == "running":
            node = self.nodes[inboxes.ready.bit_length() - 1]
            inboxes.ready ^= node.bit
            self._changed |= node.bit
            self._visit(node)
            self.now = self._clock()
            if node.ended:
                node.ended_at = self.now
            if self.now >= self._turn_ends:
                break
        if inboxes.overflowed is not None:
            detail = f"more than {MAX_QUEUE:,} messages wait in front of it"
            self.fail(inboxes.overflowed, Failure("inbox.overflow", detail))
        if not inboxes.ready and self.state == "running" and self.attempts.stuck:
            self._grow()
        return inboxes.ready != 0 and self.state == "running"

    def finished(self, attempt: Attempt) -> None:
        """An attempt has returned. Here and in `failed`, one that nobody waits for any more is ignored."""
        self.now = self._clock()
        self.attempts.finished(attempt)

    def failed(self, attempt: Attempt, error: Exception) -> None:
        self.now = self._clock()
        self.attempts.failed(attempt, error)

    def recorded(self, activation: Activation) -> None:
        """The outcome of an activation is durable: what depends on it may happen."""
        if self.state == "running":
            self.now = self._clock()
            self.attempts.recorded(activation)

    def completed(self, node: str, item: Item, outcome: Recorded) -> bool:
        """What was waited for has come and is durable; false for what is not waited for (any more)."""
        self.now = self._clock()
        return self.outside.completed((node, item), outcome)

    @property
    def rests(self) -> bool:
        """Whether nothing happens until what is waited for comes: the run needs no process until then."""
        idle = self.state == "running" and not self._inboxes.ready
        return idle and self.attempts.rests and bool(self.outside.open)

    def wake(self) -> None:
        """Do what the time has come for: attempts to be repeated, attempts and runs that took too long."""
        self.now = self._clock()
        if self.now >= self.deadline and self.state == "running":
            late = next((n for n in self.nodes if n.state in ("running", "retrying")), self.nodes[0])
            detail = f"the run took longer than {self.program.graph.timeout_s:g} s"
            self.fail(late, Failure("run.timeout", detail))
        self.attempts.wake(self.now)

    @property
    def next_due(self) -> float:
        """When to call `wake`, by the engine's clock."""
        due = self.attempts.next_due
        return self.deadline if due is None else min(due, self.deadline)

    def cancel(self) -> None:
        """End the run: nothing that happens afterwards has a consequence."""
        if self.state == "running":
            self._end(Ended("cancelled"))

    def wait_for_room(self, attempt: Attempt) -> bool:
        """Whether an attempt must wait before it emits more; a Room request ends the wait."""
        return self.attempts.wait_for_room(attempt)

    def changes(self) -> tuple[Step, ...]:
        """The facts of the nodes in which something happened since the last time."""
        changed, self._changed = self._changed, 0
        indexes = [index for index, node in enumerate(self.nodes) if changed & node.bit]
        if self._facts:
            for index in indexes:
                self._facts[index] = self.nodes[index].facts(self.created_at)
        steps = self.steps()
        return tuple(steps[index] for index in indexes)

    def steps(self) -> tuple[Step, ...]:
        """The facts of all nodes in topological order, as of the last `changes`."""
        if not self._facts:
            self._facts = [node.facts(self.created_at) for node in self.nodes]
        return tuple(self._facts)

    # For the parts of this run.

    def send(self, node: NodeRun, item: Item, ordinal: int, port: str, value: object) -> None:
        """Put a message on every wire of a port, and into the graph outputs that the port feeds."""
        stage = node.stage
        targets = stage.routes.get(port)
        exits = stage.exits.get(port)
        if targets is None and exits is None and port not in stage.component.outputs and port != ERROR_PORT:
            raise unknown_port(node, port)
        node.emitted += 1
        lineage = (*item, ordinal)
        if targets is not None:
            for index, wire in targets:
                self._inboxes.deliver(index, wire, lineage, value)
        if exits is not None:
            for name in exits:
                self._give(node, name, lineage, value)

    def progressed(self, node: NodeRun, done: int, total: int | None) -> None:
        node.progress = (done, total)
        self.touch(node)

    def mark_ready(self, node: NodeRun) -> None:
        self._inboxes.ready |= node.bit

    def touch(self, node: NodeRun) -> None:
        """Something about the node has changed that is worth telling."""
        self._changed |= node.bit

    def failure(self, node: NodeRun, error: Exception) -> Failure:
        return failure_of(error, node.stage.name, self.host)

    def fail(self, node: NodeRun, failure: Failure) -> None:
        """End the run because of one of its steps."""
        if self.state == "running":
            node.state, node.error, node.ended_at = "failed", failure.message, self.now
            self.touch(node)
            self._end(Ended("failed", error=RunError(node.stage.name, failure.kind, failure.message)))

    # Nodes

    def _visit(self, node: NodeRun) -> None:
        if node.ended:
            return
        if node.stage.collector is not None:
            self._collect(node)
        elif node.step is not None:
            self._run_inline(node)
        else:
            self._run_items(node)
        if node.window:
            self.attempts.call_waiting(node)
        elif (node.open == 0 or node.closed) and self._is_through(node):
            self._end_node(node)

    def _run_inline(self, node: NodeRun) -> None:
        """A pure function: its items are not followed one by one, unless one fails and is tried again."""
        if node.window:
            return
        while not node.blocked:
            for _ in range(MESSAGES_PER_CLOCK):
                taken = self._take(node)
                if taken is None or not self._call(node, taken):
                    return
            if self._clock() >= self._turn_ends:
                self._inboxes.ready |= node.bit
                return

    def _call(self, node: NodeRun, taken: Taken) -> bool:
        """Call a pure function on one item; whether its node may take another now."""
        step, inline = node.step, node.stage.inline
        if step is None or inline is None:
            return False
        step.item, inputs, wrong = taken
        step.count = 0
        node.attempts += 1
        if wrong is None:
            try:
                inline(step, inputs)
            except Exception as error:  # noqa: BLE001 - a component may raise anything: it is its run's failure
                wrong = self.failure(node, error)
        if wrong is not None:
            self._inline_failed(node, inputs, wrong)
            return not (node.blocked or node.window) and self.state == "running"
        return not node.blocked and bool(node.inbox or node.queues)

    def _inline_failed(self, node: NodeRun, inputs: Inputs, failure: Failure) -> None:
        if node.step is not None:
            activation = self.attempts.add(node, node.step.item, inputs)
            activation.sent = activation.accepted = node.step.count
            activation.attempt = 1
            self.attempts.miss(activation, failure)

    def _run_items(self, node: NodeRun) -> None:
        """Tasks and effects: each item is followed by itself, several at a time."""
        while len(node.window) < node.stage.concurrency and not node.blocked and self.state == "running":
            taken = self._take(node)
            if taken is None:
                return
            item, inputs, wrong = taken
            activation = self.attempts.add(node, item, inputs)
            if activation.state == "done":
                self.attempts.advance(node)
            elif wrong is not None:
                activation.attempt = 1
                node.attempts += 1
                self.attempts.miss(activation, wrong)
            else:
                self.attempts.begin(activation)
            if self._clock() >= self._turn_ends:
                self._inboxes.ready |= node.bit
                return

    def _collect(self, node: NodeRun) -> None:
        """Hand its messages to a collector in their order; when they have ended, it emits."""
        stage = node.stage
        if node.finishing or node.closed or (stage.sorts and node.open):
            return
        if stage.sorts and not node.sorted:
            self._inboxes.sort(node)
        while stage.ports and not node.blocked and (taken := self._take(node)) is not None:
            if not self._receive(node, taken):
                self._inboxes.close(node)
                return
            if self._clock() >= self._turn_ends:
                self._inboxes.ready |= node.bit
                return
        if node.open == 0 and not node.inbox:
            attempt = self._collecting(node)
            node.finishing = True
            if attempt is not None:
                self.attempts.launch(attempt)

    def _collecting(self, node: NodeRun) -> Attempt | None:
        """The attempt that is a collector's whole life in a run; None when it is over."""
        if node.collecting is not None or node.stage.collector is None:
            return node.collecting
        self._begin(node)
        activation = self.attempts.add(node, ROOT, {})
        if activation.state == "done":
            self.attempts.advance(node)
            return None
        node.attempts += 1
        activation.state = "running"
        attempt = Attempt(activation)
        try:
            node.collector = node.stage.collector(attempt)
        except Exception as error:  # noqa: BLE001 - a component may raise anything: it is its run's failure
            self.attempts.miss(activation, self.failure(node, error))
            return None
        node.collecting = attempt
        return attempt

    def _receive(self, node: NodeRun, taken: Taken) -> bool:
        """Give a collector one message; whether it takes more."""
        attempt = self._collecting(node)
        if attempt is None or node.collector is None:
            return False
        _, inputs, wrong = taken
        if wrong is None:
            try:
                node.collector.receive(inputs)
            except Exception as error:  # noqa: BLE001 - as above
                wrong = self.failure(node, error)
        if wrong is not None:
            self.attempts.miss(attempt.activation, wrong)
        return attempt.current

    def _take(self, node: NodeRun) -> Taken | None:
        """The next item of a node, what is in it, and what is wrong with that."""
        stage = node.stage
        if stage.pairs:
            return self._take_pair(node)
        if not stage.ports:
            if node.fired:
                return None
            node.fired = True
            self._begin(node)
            return ROOT, {}, None
        if not node.inbox:
            return None
        if node.started_at is None:
            self._begin(node)
        lineage, wire, value = self._inboxes.take(node)
        port, check = stage.ports[wire], stage.checks[wire]
        wrong = None if check is None else misfit(check, port, value)
        return ((*lineage, wire) if stage.marks else lineage), {port: value}, wrong

    def _take_pair(self, node: NodeRun) -> Taken | None:
        stage = node.stage
        messages = self._inboxes.take_pair(node)
        if messages is None:
            # One port has ended: what the others still get can never be paired.
            for port in node.live:
                over = all(self.nodes[source].ended for source in stage.port_sources[port])
                if over and node.queues is not None and not node.queues[port]:
                    self._inboxes.close(node)
                    break
            return None
        if node.started_at is None:
            self._begin(node)
        wrong = None
        for _, wire, value in messages:
            check = stage.checks[wire]
            if check is not None and wrong is None:
                wrong = misfit(check, stage.ports[wire], value)
        node.paired += 1
        return (node.paired - 1,), {stage.ports[wire]: value for _, wire, value in messages}, wrong

    def _begin(self, node: NodeRun) -> None:
        if node.started_at is None:
            node.started_at = self.now
            node.state = "running"

    def _is_through(self, node: NodeRun) -> bool:
        """Whether a node at rest, whose sources have ended, has nothing left to take."""
        if node.stage.collector is not None:
            return node.finishing or node.closed
        if not node.stage.ports:
            return node.fired
        return node.closed or not (node.inbox or self._inboxes.has_pair(node))

    def _end_node(self, node: NodeRun) -> None:
        inboxes, nodes = self._inboxes, self.nodes
        node.ended = True
        inboxes.close(node)
        if node.attempts == 0:
            node.state = "skipped"
        else:
            node.state = "failed" if node.attempts == node.missed else "succeeded"
        for index in node.stage.targets:
            target = nodes[index]
            target.open -= 1
            inboxes.ready |= target.bit
        self._left -= 1
        if self._left == 0:
            self._succeed(node)

    # The end

    def _succeed(self, last: NodeRun) -> None:
        try:
            output = self._outputs.encoded(self.program)
        except OutputTooLarge:
            self.fail(last, _OUTPUT_TOO_LARGE)
        except TypeError as error:
            self.fail(last, Failure("output.invalid", f"no JSON value: {error}"))
        else:
            self._end(Ended("succeeded", output))

    def _give(self, node: NodeRun, name: str, lineage: Item, value: object) -> None:
        try:
            self._outputs.take(name, lineage, value)
        except OutputTooLarge:
            self.fail(node, _OUTPUT_TOO_LARGE)
        except TypeError as error:
            self.fail(node, Failure("output.invalid", f"`{name}` is no JSON value: {error}"))

    def _grow(self) -> None:
        if not self._inboxes.grow():
            waiting = next(node for node in self.nodes if not node.ended)
            self.fail(waiting, Failure("engine.stalled", "nothing in the run can go on"))

    def _end(self, ended: Ended) -> None:
        self.state = ended.state
        self.requests = [*(request for request in self.requests if isinstance(request, Record)), ended]
        for node in self.nodes:
            if not node.ended and node.state != "failed":
                node.state = _last_state(node, ended)
                node.ended_at = self.now if node.started_at is not None else None
                self._changed |= node.bit


_OUTPUT_TOO_LARGE = Failure(
    "output.too_large", f"the run's output has more than {MAX_OUTPUT_BYTES:,} bytes of JSON"
)


def _last_state(node: NodeRun, ended: Ended) -> StepState:
    """What a node is that the run's end has interrupted."""
    if ended.state == "cancelled" or node.started_at is not None:
        return "cancelled"
    return "skipped"
