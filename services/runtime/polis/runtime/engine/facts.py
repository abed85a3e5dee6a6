"""What the steps of a run have done so far, as it is told: a node of a graph in graphs as one step, all its turns together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from polis.graph.undo import NODE
from polis.proto.runtime import Step, StepState
from polis.runtime.engine.node import first, since
from polis.runtime.engine.provenance import NONE, Origins, approved, unapproved

if TYPE_CHECKING:
    from polis.runtime.engine.frame import Frame
    from polis.runtime.engine.machine import Machine
    from polis.runtime.engine.node import NodeRun
    from polis.runtime.engine.stage import Stage


class Tally(Struct):
    """What a node has done in several turns of the graph that it is in."""

    received: int = 0
    emitted: int = 0
    attempts: int = 0
    missed: int = 0
    started_at: float | None = None
    ended_at: float | None = None
    error: str | None = None
    made: Origins = NONE

    def add(self, node: NodeRun) -> None:
        self.received += node.received
        self.emitted += node.emitted
        self.attempts += node.attempts
        self.missed += node.missed
        self.error = node.error or self.error
        self.made |= node.made
        if node.started_at is not None:
            self.started_at = min(node.started_at, self.started_at or node.started_at)
        if node.ended_at is not None:
            self.ended_at = max(node.ended_at, self.ended_at or node.ended_at)

    def state(self, outer: StepState) -> StepState:
        """What it is, by what the node is that runs its graph."""
        if outer in ("succeeded", "failed"):
            return (
                "skipped" if not self.attempts else "failed" if self.attempts == self.missed else "succeeded"
            )
        if outer in ("cancelled", "skipped"):
            return "cancelled" if self.attempts else "skipped"
        return "running" if self.attempts else "pending"


class Facts:
    """The facts of every step of one run, in topological order, each followed by those of the graph that it runs."""

    __slots__ = ("_machine", "_over", "_steps", "before")

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._steps: list[Step] = []
        self._over: dict[str, Tally] = {}
        """By path: what was done in turns that are over."""
        self.before: dict[str, Step] = {}
        """What was told of inner steps by the process that had the run before."""

    def add(self, turn: Frame) -> None:
        """A turn is over."""
        for node in turn.nodes:
            if node.started_at is not None:
                self._over.setdefault(node.stage.path, Tally()).add(node)

    def renewed(self, changed: int) -> tuple[Step, ...]:
        """Bring the facts up to date of the steps whose marks are set; those that differ from what was told."""
        stages = self._machine.program.steps
        first = not self._steps
        before, tallies = self.all, self._tallies()
        found: list[Step] = []
        for number, stage in enumerate(stages):
            if changed >> number & 1:
                step = before[number] if first else self._step(stage, tallies)
                if first or stage.outer is None or step != before[number]:
                    self._steps[number] = step
                    found.append(step)
        return tuple(found)

    @property
    def told(self) -> tuple[Step, ...]:
        """What is known without a look at any node."""
        return tuple(self._steps or self.before.values())

    @property
    def all(self) -> tuple[Step, ...]:
        if not self._steps:
            tallies = self._tallies()
            for stage in self._machine.program.steps:
                self._steps.append(self._step(stage, tallies))
        return tuple(self._steps)

    def _tallies(self) -> dict[str, Tally]:
        """By path: what was done in all turns so far."""
        turns = self._machine.turns
        if not turns:
            return self._over
        found = {
            path: Tally(*(getattr(t, f) for f in Tally.__struct_fields__)) for path, t in self._over.items()
        }
        for turn in turns:
            for node in turn.nodes:
                if node.started_at is not None:
                    found.setdefault(node.stage.path, Tally()).add(node)
        return found

    def _step(self, stage: Stage, tallies: dict[str, Tally]) -> Step:
        machine = self._machine
        undoes = f"/{NODE}" in stage.path
        if machine.undoing is not None and not undoes:
            return self._left(stage)
        if stage.outer is None:
            return machine.nodes[stage.index].facts(machine.created_at)
        outer = self._steps[stage.outer.number]
        tally = tallies.get(stage.path) or Tally()
        ended_ms = since(tally.ended_at, machine.created_at) if undoes else outer.ended_ms
        started_ms, before = since(tally.started_at, machine.created_at), self.before.get(stage.path)
        if before is not None and started_ms is not None:
            started_ms = first(before.started_ms, started_ms)
        elif before is not None and stage.outer.whole and outer.state == "succeeded":
            return before  # what it came to stands in the journal as a whole
        return Step(
            node=stage.path,
            component=stage.component.key,
            title=stage.title,
            activity=stage.component.activity,
            state=tally.state(outer.state),
            received=tally.received,
            emitted=tally.emitted,
            attempts=tally.attempts,
            started_ms=started_ms,
            ended_ms=None if tally.started_at is None else ended_ms,
            error=tally.error,
            model=unapproved(tally.made),
            approved=approved(tally.made),
        )

    def _left(self, stage: Stage) -> Step:
        """What a step was when the run had to end: nothing comes to it while its effects are undone."""
        before = self.before.get(stage.path)
        if before is None:
            component = stage.component
            return Step(stage.path, component.key, stage.title, component.activity, "skipped")
        if before.state in ("succeeded", "failed", "skipped", "cancelled"):
            return before
        return msgspec.structs.replace(before, state="skipped" if before.state == "pending" else "cancelled")
