"""The engine: one run of a program as a state machine without I/O.

Its inputs are method calls (`start`, `turn`, `finished`, `failed`, `recorded`, `completed`, `wake`, `cancel`), its outputs
the list `requests`. It reads a clock and a source of randomness that are given to it, so a seeded scheduler can drive it
through any order of events.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import TYPE_CHECKING, Literal

import msgspec

from polis.graph.undo import NODE
from polis.proto.runtime import RunError, Step
from polis.runtime.engine.activation import Activation, Attempt, Failure, Host, Recorded
from polis.runtime.engine.attempts import Attempts
from polis.runtime.engine.bodies import AT_ONCE
from polis.runtime.engine.facts import Facts
from polis.runtime.engine.frame import Frame
from polis.runtime.engine.history import History
from polis.runtime.engine.item import Item
from polis.runtime.engine.node import NodeRun
from polis.runtime.engine.outside import Outside
from polis.runtime.engine.requests import Close, Ended, HandOver, Record, Request
from polis.runtime.engine.undoing import END, Undoing

if TYPE_CHECKING:
    from polis.runtime.engine.program import Program


class Machine:
    """One run. The shell empties `requests` and carries them out after each call.

    recorded: outcomes from the journal by (path of the node, item); they are replayed instead of repeated.
    waits: where it waits by the same names, since before this process had it, and by what that will be undone.
    elapsed_s: how long ago the run was created. paused_s: how long of that it was paused, which takes nothing from its
    time. timeout_s: what it may take, if that is less than its graph says. paused: it begins no further step; what is at work ends. changed: the marks of the nodes in which something has happened.
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
        waits: Mapping[tuple[str, Item], bytes | None] | None = None,
        elapsed_s: float = 0.0,
        paused_s: float = 0.0,
        timeout_s: float | None = None,
    ) -> None:
        self.run = run
        self.program = program
        self.host = host
        self.state: Literal["running", "succeeded", "failed", "cancelled"] = "running"
        self.requests: list[Request] = []
        self.clock = clock
        self.now = clock()
        self.turn_ends = 0.0
        self.created_at = self.now - elapsed_s
        self._timeout_s = min(program.graph.timeout_s, timeout_s or math.inf)
        self.deadline = self.created_at + paused_s + self._timeout_s
        self.paused = False
        self._paused_at = 0.0
        self.changed = 0
        self.history = History(self)
        self.attempts = Attempts(self, random, recorded or {})
        self.outside = Outside(self, waits or {})
        self.frame = Frame(self, program)
        verdict = recorded.get(END) if recorded else None
        self.undoing = None if verdict is None else Undoing(self, verdict, recorded or {})
        self.turns: dict[Frame, None] = {}
        """The graphs in graphs that are at work."""
        self._facts = Facts(self)

    @property
    def nodes(self) -> Sequence[NodeRun]:
        """The nodes of the run's own graph."""
        return self.frame.nodes

    def recall(self, steps: Sequence[Step]) -> None:
        """What was told of the steps before this process had the run."""
        known = {step.node: step for step in steps}
        for node in self.nodes:
            node.before = known.get(node.stage.name)
        self._facts.before = known

    def error_before(self, path: str) -> str | None:
        """What was told of a step's failures before this process had the run."""
        before = self._facts.before.get(path)
        return None if before is None else before.error

    def start(self, inputs: Mapping[str, object]) -> None:
        """Deliver what the run starts with: values by the names of the graph's inputs, checked before.

        One of which it is certain how it ends, has all begun that it begins: only what it did is undone.
        """
        if self.undoing is None:
            self.frame.start(inputs)
        else:
            self.frame.close()
            self.deadline = self.undoing.deadline

    def turn(self, budget_s: float) -> bool:
        """Run what can run now for about this long; whether more is ready."""
        self.now = self.clock()
        self.turn_ends = self.now + budget_s
        if self.paused:
            return False
        if self.state == "running":
            (self.frame if self.undoing is None else self.undoing).turn()
        if not self._is_ready and self.state == "running" and self.attempts.stuck:
            self._grow()
        return self._is_ready and self.state == "running"

    @property
    def _is_ready(self) -> bool:
        return self.frame.inboxes.ready != 0 if self.undoing is None else self.undoing.goes_on

    def finished(self, attempt: Attempt) -> None:
        """An attempt has returned. Here and in `failed`, one that nobody waits for any more is ignored."""
        self.now = self.clock()
        self.attempts.finished(attempt)

    def failed(self, attempt: Attempt, error: Exception) -> None:
        self.now = self.clock()
        self.attempts.failed(attempt, error)

    def recorded(self, activation: Activation) -> None:
        """The outcome of an activation is durable: what depends on it may happen."""
        if self.state == "running":
            self.now = self.clock()
            self.attempts.recorded(activation)

    def completed(self, node: str, item: Item, outcome: Recorded) -> bool:
        """What was waited for has come and is durable; false for what is not waited for (any more)."""
        self.now = self.clock()
        return self.outside.completed((node, item), outcome)

    @property
    def rests(self) -> bool:
        """Whether nothing happens until what is waited for comes, or a far attempt is due: the run needs no process until then."""
        if self.paused:
            return self.state == "running" and self.attempts.quiet
        idle = self.state == "running" and not self._is_ready
        return idle and self.attempts.rests and bool(self.outside.open or self.attempts.repeats.waiting)

    def pause(self) -> None:
        """Begin no further step, nor another attempt of one."""
        if not self.paused:
            self.now = self._paused_at = self.clock()
            self.paused = True

    def resume(self) -> None:
        """Go on, with as much time left as there was."""
        if self.paused:
            self.paused = False
            self.now = self.clock()
            self.deadline += self.now - self._paused_at
            self.attempts.timers.release()

    def wake(self) -> None:
        """Do what the time has come for: attempts to be repeated, attempts and runs that took too long."""
        self.now = self.clock()
        if self.undoing is not None and self.now >= self.deadline and self.state == "running":
            self.undoing.out_of_time()
        elif self.now >= self.deadline and self.state == "running" and not self.paused:
            late = next(
                (n for n in self.nodes if n.state in ("running", "waiting", "retrying")), self.nodes[0]
            )
            detail = f"the run took longer than {self._timeout_s:g} s"
            self.frame.fail(late, Failure("run.timeout", detail))
        self.attempts.timers.wake(self.now)

    @property
    def next_due(self) -> float:
        """When to call `wake`, by the engine's clock."""
        due, deadline = self.attempts.timers.next_due, math.inf if self.paused else self.deadline
        return deadline if due is None else min(due, deadline)

    @property
    def rests_until(self) -> float:
        """When a run at rest goes on, if nothing that it waits for comes before."""
        due = None if self.paused else self.attempts.timers.due_at_rest
        return self.deadline if due is None else min(due, self.deadline)

    def cancel(self) -> None:
        """End the run: nothing that happens afterwards has a consequence."""
        if self.state == "running":
            self._end(Ended("cancelled"), "cancelled")

    def break_off(self, failure: Failure) -> Ended | HandOver:
        """How the run ends whose engine has raised what nobody foresaw: its parts are not asked, nothing is sure of them."""
        self.state = "failed"
        self.frame.over = True
        self.now = self.clock()
        return self._failed(failure) if self.undoing is None else self.undoing.break_off(failure)

    def wait_for_room(self, attempt: Attempt) -> bool:
        """Whether an attempt must wait before it emits more; a Room request ends the wait."""
        return self.attempts.wait_for_room(attempt)

    def changes(self) -> tuple[Step, ...]:
        """The facts of the steps in which something happened since the last time."""
        changed, self.changed = self.changed, 0
        return self._facts.renewed(changed)

    @property
    def told(self) -> tuple[Step, ...]:
        """The facts of all steps as they were told last, by whoever had the run then."""
        return self._facts.told

    def steps(self) -> tuple[Step, ...]:
        """The facts of all steps in topological order, as of the last `changes`."""
        return self._facts.all

    # For the parts of this run.

    def succeed(self, output: bytes) -> None:
        self._end(Ended("succeeded", output), "succeeded")

    def fail(self, failure: Failure) -> None:
        """End the run because of one of its steps."""
        if self.state != "running":
            return
        self._end(self._failed(failure), "failed")

    def _failed(self, failure: Failure) -> Ended | HandOver:
        if self.attempts.undoable and self.program.undoes:
            at_ms = max(0, int((self.now - self.created_at) * 1000))
            verdict = Recorded(failure=failure, ended="failed", at_ms=at_ms)
            return HandOver(msgspec.json.encode(verdict))
        return Ended("failed", error=RunError(failure.step, failure.kind, failure.message))

    def conclude(self, ended: Ended) -> None:
        """All is undone that can be."""
        self._end(ended, ended.state)

    @property
    def may_begin(self) -> bool:
        """Whether there is room for one more graph in a graph, at an activation that runs some already."""
        return len(self.turns) < AT_ONCE

    def enter(self, turn: Frame) -> None:
        self.turns[turn] = None

    def leave(self, turn: Frame) -> None:
        """A graph in a graph is over: what its nodes have done is added to what is told of them."""
        if turn in self.turns:
            del self.turns[turn]
            self._facts.add(turn)

    def _grow(self) -> None:
        grown = [frame for frame in (self.frame, *self.turns) if frame.inboxes.grow()]
        for frame in grown:
            frame.stir()
        if not grown and self.undoing is not None:
            self.undoing.give_up(Failure("engine.stalled", "nothing in it can go on", step=NODE))
        elif not grown:
            waiting = next(node for node in self.nodes if not node.ended)
            self.frame.fail(waiting, Failure("engine.stalled", "nothing in the run can go on"))

    def _end(self, ended: Ended | HandOver, state: Literal["succeeded", "failed", "cancelled"]) -> None:
        self.state = state
        self.frame.close()
        # What it waits for is closed with the end; before that, somebody could still be asked in vain.
        kept = (Record, Close) if isinstance(ended, HandOver) else Record
        self.requests = [*(request for request in self.requests if isinstance(request, kept)), ended]
        for node in self.nodes:
            if not node.ended and node.state != "failed":
                # A node that the run's end has interrupted.
                begun = node.started_at is not None
                node.state = "cancelled" if begun or state == "cancelled" else "skipped"
                node.ended_at = self.now if begun else None
                self.changed |= node.stage.mark
