"""A graph at work: its nodes, the messages between them, and its end. A run is one; each turn of a nested graph is another.

Results never depend on the order of events: items are named by lineage, each node lets go of its items in their order,
and where branches meet by chance whoever depends on the order sorts first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from polis.proto.graph import ERROR_PORT
from polis.runtime.component import Inputs
from polis.runtime.engine import collecting
from polis.runtime.engine.activation import Failure, unknown_port
from polis.runtime.engine.failure import NO_JSON, failure_of
from polis.runtime.engine.inboxes import MAX_QUEUE, Inboxes
from polis.runtime.engine.intake import Taken, take
from polis.runtime.engine.item import ROOT, Item
from polis.runtime.engine.node import NodeRun, node_of
from polis.runtime.engine.outputs import MAX_OUTPUT_BYTES, Gathered, Outputs, OutputTooLarge
from polis.runtime.engine.provenance import NONE, Made, Origins, marked

if TYPE_CHECKING:
    from polis.runtime.engine.bodies import Bodies
    from polis.runtime.engine.machine import Machine
    from polis.runtime.engine.program import Program
    from polis.runtime.engine.undoing import Undoing


class Frame:
    """One execution of a program's nodes.

    bodies: what runs it, where it is a graph in a graph; item: what its items begin with there. over: it has ended, by itself
    or from outside; nothing that still comes is heard. failed: why. stirred: those around it know that it can go on.
    """

    __slots__ = (
        "_left", "bodies", "clock", "failed", "inboxes", "item", "machine", "nodes", "outputs", "over", "program",
        "stirred", "traced",
    )  # fmt: skip

    def __init__(
        self, machine: Machine, program: Program, bodies: Bodies | Undoing | None = None, item: Item = ROOT
    ) -> None:
        self.machine = machine
        self.program = program
        self.bodies = bodies
        self.item = item
        self.clock = machine.clock
        self.over = self.stirred = False
        self.traced = machine.program.traced
        self.failed: Failure | None = None
        self.nodes = [node_of(self, stage) for stage in program.stages]
        self.inboxes = Inboxes(self.nodes, program.roots)
        self.outputs: Outputs | Gathered = Outputs(program) if bodies is None else Gathered(program)
        self._left = len(self.nodes)

    def start(self, inputs: Mapping[str, object]) -> None:
        """Deliver what it starts with: values by the names of the graph's inputs, checked before."""
        graph, entries = self.program.graph, self.program.plan.entries
        for name in sorted(graph.inputs):
            value = inputs.get(name, graph.inputs[name].default)
            if value is not None or name in inputs:
                if self.traced and self.bodies is not None and self.bodies.origins:
                    value = Made(value, self.bodies.origins)
                self.inboxes.deliver(entries[name].node, entries[name].wire, ROOT, value)
        for node in self.nodes:
            if node.queues is not None or node.stage.latest:
                sources, given = (
                    node.stage.port_sources,
                    {node.stage.ports[wire] for _, wire, _ in node.inbox},
                )
                queues = node.queues or {}
                node.live = tuple(
                    port for port in sources if sources[port] or port in given or queues.get(port)
                )

    def turn(self) -> None:
        """Run what can run now, the nodes nearest to the end first, until the machine's turn is over."""
        machine, inboxes = self.machine, self.inboxes
        while inboxes.ready and not self.over:
            node = self.nodes[inboxes.ready.bit_length() - 1]
            inboxes.ready ^= node.bit
            machine.changed |= node.stage.mark
            self._visit(node)
            machine.now = self.clock()
            if node.ended:
                node.ended_at = machine.now
            if machine.now >= machine.turn_ends:
                break
        if inboxes.overflowed is not None:
            detail = f"more than {MAX_QUEUE:,} messages wait in front of it"
            self.fail(inboxes.overflowed, Failure("inbox.overflow", detail))

    def send(self, node: NodeRun, item: Item, ordinal: int, port: str, value: object) -> None:
        """Put a message on every wire of a port, and into the graph outputs that the port feeds."""
        stage = node.stage
        targets = stage.routes.get(port)
        exits = stage.exits.get(port)
        if targets is None and exits is None and port not in stage.component.outputs and port != ERROR_PORT:
            raise unknown_port(node, port)
        node.emitted += 1
        if self.traced:
            value = marked(value, node)
        lineage = (*item, ordinal)
        if targets is not None:
            for index, wire in targets:
                self.inboxes.deliver(index, wire, lineage, value)
        if exits is not None:
            for name in exits:
                self._give(node, name, lineage, value)

    def given(self) -> dict[str, object]:
        """What a graph in a graph gave."""
        return self.outputs.values() if isinstance(self.outputs, Gathered) else {}

    @property
    def origins(self) -> Origins:
        """What that was made of."""
        return self.outputs.origins if isinstance(self.outputs, Gathered) else NONE

    def mark_ready(self, node: NodeRun) -> None:
        self.inboxes.ready |= node.bit
        self.stir()

    def stir(self) -> None:
        """Let those around it know that it can go on, or has ended."""
        if self.bodies is not None and not self.stirred:
            self.stirred = True
            self.bodies.hear(self)

    def touch(self, node: NodeRun) -> None:
        """Something about the node has changed that is worth telling."""
        self.machine.changed |= node.stage.mark

    def begin(self, node: NodeRun) -> None:
        if node.started_at is None:
            node.started_at = self.machine.now
            node.state = "running"

    def failure(self, node: NodeRun, error: Exception) -> Failure:
        return failure_of(error, node.stage.path, self.machine.host)

    def fail(self, node: NodeRun, failure: Failure) -> None:
        """End it because of one of its steps."""
        if self.over:
            return
        node.state, node.error, node.ended_at = "failed", failure.message, self.machine.now
        self.touch(node)
        self.end_with(failure if failure.step else msgspec.structs.replace(failure, step=node.stage.path))

    def end_with(self, failure: Failure) -> None:
        """End it for a reason that names the step."""
        self.failed = failure
        if self.bodies is None:
            self.machine.fail(failure)
        else:
            self.close()
            self.stir()

    def close(self) -> None:
        """Stop what is at work: nothing that still comes is heard."""
        self.over = True
        for node in self.nodes:
            for activation in node.window:
                self.machine.attempts.drop(activation)

    # Nodes

    def _visit(self, node: NodeRun) -> None:
        if node.ended:
            return
        if node.stage.collector is not None:
            collecting.collect(self, node)
        elif node.step is not None:
            self._run_inline(node)
        else:
            self._run_items(node)
        if node.stage.body is not None:
            self._drive(node)
        if self.over:  # it has failed, perhaps with the very last message of all
            return
        if node.window:
            self.machine.attempts.call_waiting(node)
        elif (node.open == 0 or node.closed) and self._is_through(node):
            self._end_node(node)

    def _run_inline(self, node: NodeRun) -> None:
        """A pure function: its items are not followed one by one, unless one fails and is tried again."""
        if node.window:
            return
        while not node.blocked:
            taken = take(self, node)
            if taken is None or not self._call(node, taken):
                return
            if self.clock() >= self.machine.turn_ends:
                self.inboxes.ready |= node.bit
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
            return not (node.blocked or node.window or self.over)
        return not node.blocked and bool(node.inbox or node.queues)

    def _inline_failed(self, node: NodeRun, inputs: Inputs, failure: Failure) -> None:
        if node.step is not None:
            attempts = self.machine.attempts
            activation = attempts.add(self, node, node.step.item, inputs)
            activation.sent = activation.accepted = node.step.count
            activation.attempt = 1
            attempts.miss(activation, failure)

    def _run_items(self, node: NodeRun) -> None:
        """Tasks and effects: each item is followed by itself, several at a time."""
        attempts = self.machine.attempts
        while len(node.window) < node.stage.concurrency and not (node.blocked or self.over):
            if node.window and node.window[-1].choice:
                return  # which messages come together next follows from those that came before
            taken = take(self, node)
            if taken is None:
                return
            item, inputs, wrong = taken
            activation = attempts.add(self, node, item, inputs)
            choice, node.choice = tuple(node.choice), []
            if activation.state == "done":
                attempts.advance(activation)
            elif activation.state == "retrying":
                pass
            elif choice:
                attempts.choose(activation, choice, wrong)
            elif wrong is not None:
                activation.attempt = 1
                node.attempts += 1
                attempts.miss(activation, wrong)
            else:
                attempts.begin(activation)
            if self.clock() >= self.machine.turn_ends:
                self.inboxes.ready |= node.bit
                return

    def _drive(self, node: NodeRun) -> None:
        """Go on with the graphs that its items run."""
        for activation in list(node.window):
            if activation.bodies is not None:
                activation.bodies.drive()

    def _is_through(self, node: NodeRun) -> bool:
        """Whether a node at rest, whose sources have ended, has nothing left to take."""
        if node.stage.collector is not None:
            return node.finishing or node.closed
        if not node.stage.ports:
            return node.fired
        return node.closed or not (node.inbox or node.aside or self.inboxes.has_pair(node))

    def _end_node(self, node: NodeRun) -> None:
        inboxes, nodes = self.inboxes, self.nodes
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
        if isinstance(self.outputs, Gathered):
            self.over = True
            return
        try:
            output = self.outputs.encoded(self.program)
        except OutputTooLarge:
            self.fail(last, _OUTPUT_TOO_LARGE)
        except NO_JSON as error:
            self.fail(last, Failure("output.invalid", f"no JSON value: {error}"))
        else:
            self.machine.succeed(output)

    def _give(self, node: NodeRun, name: str, lineage: Item, value: object) -> None:
        try:
            self.outputs.take(name, lineage, value)
        except OutputTooLarge:
            self.fail(node, _OUTPUT_TOO_LARGE)
        except NO_JSON as error:
            self.fail(node, Failure("output.invalid", f"`{name}` is no JSON value: {error}"))


_OUTPUT_TOO_LARGE = Failure(
    "output.too_large",
    f"it gives more than {MAX_OUTPUT_BYTES:,} bytes of JSON, or {MAX_QUEUE:,} messages in a graph",
)
