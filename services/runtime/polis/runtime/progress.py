"""From an execution to what is written of it: numbered transitions, the facts of its steps, its end."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from polis.proto.runtime import Run, RunState, Step, Transition
from polis.runtime import item as items
from polis.runtime.records import Flush, Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from polis.runtime.activation import Activation
    from polis.runtime.execution import Execution


class Progress:
    """Numbers what happens in one run. `seq` is the last transition that was given out, `run` what it is by then."""

    __slots__ = ("epoch", "run", "seq")

    def __init__(self, run: Run, *, epoch: int, seq: int) -> None:
        self.run = run
        self.epoch = epoch
        self.seq = seq

    def flush(self, execution: Execution) -> tuple[Flush, list[Activation]] | None:
        """All that is to be written now, and which outcomes wait for it; None when nothing has happened."""
        outcomes, execution.outcomes = execution.outcomes, []
        changes = execution.machine.changes()
        ended = execution.ended
        if not (outcomes or changes or ended or self.run.state == "recovering"):
            return None
        transitions = self.transitions(execution, changes)
        flush = Flush(
            run=self.run,
            epoch=self.epoch,
            steps=execution.machine.steps(),
            transitions=transitions,
            seq=self.seq,
            outcomes=tuple(Outcome(a.node.stage.name, items.text(a.item), body) for a, body in outcomes),
            output=ended.output if ended is not None else None,
        )
        return flush, [activation for activation, _ in outcomes]

    def transitions(self, execution: Execution, changes: Sequence[Step]) -> tuple[Transition, ...]:
        """The next transitions: the run's return to work, steps in topological order, the run's end."""
        machine, ended = execution.machine, execution.ended
        at_ms = max(0, int((machine.now - machine.created_at) * 1000))
        given: list[Transition] = []
        if self.run.state in ("recovering", "queued"):
            self.run = msgspec.structs.replace(self.run, state="running")
            given.append(self._next(at_ms, "running"))
        given += [self._next(at_ms, step.state, step) for step in changes]
        if ended is not None:
            ended_at = self.run.created_at + timedelta(milliseconds=at_ms)
            self.run = msgspec.structs.replace(
                self.run, state=ended.state, ended_at=ended_at, error=ended.error
            )
            given.append(msgspec.structs.replace(self._next(at_ms, ended.state), error=ended.error))
        return tuple(given)

    def _next(self, at_ms: int, state: str, step: Step | None = None) -> Transition:
        self.seq += 1
        return Transition(self.seq, at_ms, state, step)


def first(run: Run) -> tuple[Transition, ...]:
    """What a run begins with."""
    return (Transition(1, 0, run.state),)


def new_run(run: Run, *, state: RunState, at: datetime) -> Run:
    """A run as it is accepted: at work, or in the queue."""
    return msgspec.structs.replace(run, state=state, started_at=None if state == "queued" else at)
