"""From an execution to what is written of it: numbered transitions, the facts of its steps, its end."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

import msgspec

from polis.proto.runtime import LogLine, Run, RunState, Step, Transition
from polis.runtime.engine import item as items
from polis.runtime.engine.activation import Failure
from polis.runtime.engine.undoing import END
from polis.runtime.runs.lines import outcome as journaled
from polis.runtime.shell.breaking import broken_off
from polis.runtime.shell.records import Flush, Outcome, Rest
from polis.runtime.waits.rows import opening

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from polis.runtime.engine.activation import Activation
    from polis.runtime.engine.line import Line
    from polis.runtime.engine.requests import Ended, Record
    from polis.runtime.engine.straight import Done
    from polis.runtime.shell.execution import Execution

T = TypeVar("T")

_UNWRITABLE = Failure(
    "run.unwritable",
    "what happened in it cannot be stored; the id of the run finds in the record what that is",
)
PROGRESS_S = 0.1
"""How often it is written what steps have done, while the run has not ended: what watchers see at the latest."""


KEPT_BYTES_S = 100_000
"""Bytes of attempts that one run writes in a second while it has not ended."""


class Progress:
    """Numbers what happens in one run. `seq` is the last transition that was given out, `run` what it is by then.

    heard: outcomes from outside that this process knows of, of all that the run's row has counted. said: the last line of
    its log.
    """

    __slots__ = ("_keep_at", "_last", "_tell_at", "epoch", "heard", "run", "said", "seq")

    def __init__(self, run: Run, *, epoch: int, seq: int, heard: int = 0, said: int = 0) -> None:
        self.run = run
        self.epoch = epoch
        self.seq = seq
        self.heard = heard
        self.said = said
        self._tell_at = self._keep_at = 0.0
        self._last: Flush | None = None
        """What ends it, where it is broken."""

    def flush(self, execution: Execution) -> tuple[Flush, list[Activation]] | None:
        """All that is to be written now, and which outcomes wait for it; None when nothing has happened.

        Outcomes are written at once; what else there is to tell goes with them only now and then. Of a run that is broken
        all is written that is sure of it.
        """
        taken = None if execution.broken else self._asking(self._flush, execution)
        if not execution.broken:
            return taken
        self._last = self._broken_off(execution)
        return self._last, []

    def instead(self, execution: Execution, unwritten: Flush) -> Flush | None:
        """What is written of a run of which this never can be: that it has failed, with all that is told and done by then.

        If that cannot be either, its end alone. None: nothing can.
        """
        if unwritten is not self._last:
            execution.break_off(_UNWRITABLE)
            self._last = self._joined(unwritten, execution)
            return self._last
        verdict = tuple(outcome for outcome in unwritten.outcomes if outcome.node == END[0])
        if verdict == unwritten.outcomes:
            return None
        self._last = msgspec.structs.replace(unwritten, outcomes=verdict, lines=())
        return self._last

    def _joined(self, unwritten: Flush, execution: Execution) -> Flush:
        """The end of a run that is broken, with what was to be written of it before."""
        told = unwritten.transitions
        if unwritten.run.ended_at is not None:
            told, self.seq = told[:-1], self.seq - 1
            self.run = msgspec.structs.replace(self.run, state="running", ended_at=None, error=None)
        end = self._broken_off(execution)
        return msgspec.structs.replace(
            end,
            steps=end.steps or unwritten.steps,
            transitions=(*told, *end.transitions),
            outcomes=(*unwritten.outcomes, *end.outcomes),
            closed=(*unwritten.closed, *end.closed),
            lines=(*unwritten.lines, *end.lines),
        )

    def _asking(self, write: Callable[[Execution], T], execution: Execution) -> T | None:
        """What is to be written; where the engine fails to say it, nothing of that is told."""
        before, outcomes = (self.run, self.seq, self.said), execution.outcomes
        try:
            return write(execution)
        except Exception as error:  # noqa: BLE001 - a defect of the engine is this run's end, and nobody else's
            (self.run, self.seq, self.said), execution.outcomes = before, outcomes
            execution.broke(error)
            return None

    def _broken_off(self, execution: Execution) -> Flush:
        """The end of a run whose engine is not asked any more, or that what it did is to be undone before."""
        machine, ended = execution.machine, execution.ended
        outcomes, execution.outcomes = execution.outcomes, []
        lines, written = self._written(execution, outcomes)
        steps: tuple[Step, ...] | None = None
        transitions: tuple[Transition, ...] = ()
        if ended is not None:
            at_ms = max(0, int((machine.now - machine.created_at) * 1000))
            steps, transitions = broken_off(machine.told, self.seq, at_ms, ended.state, ended.error)
            self.seq = transitions[-1].seq
            self._end(ended, at_ms)
        return Flush(
            run=self.run,
            epoch=self.epoch,
            steps=steps,
            transitions=transitions,
            outcomes=written,
            rest=None if ended is not None else Rest(self.heard, self.run.created_at, machine.paused),
            closed=()
            if ended is not None
            else tuple((node, items.text(item)) for node, item in machine.outside.open),
            waits=execution.program.waits,
            lines=lines,
        )

    def _written(
        self, execution: Execution, outcomes: Sequence[Record]
    ) -> tuple[tuple[LogLine, ...], tuple[Outcome, ...]]:
        """What steps have said, and all that goes into the journal."""
        lines = tuple(self._line(execution, each, each.line) for each in outcomes if each.line is not None)
        written = (*map(_outcome, outcomes), *map(journaled, lines))
        if execution.handed_over is None:
            return lines, written
        # Whoever takes it up next undoes what it did: at once, and whatever it waited for.
        return lines, (*written, Outcome(END[0], items.text(END[1]), execution.handed_over.verdict))

    def _flush(self, execution: Execution) -> tuple[Flush, list[Activation]] | None:
        outcomes, execution.outcomes = execution.outcomes, []
        opened, execution.opened = execution.opened, []
        closed, execution.closed = execution.closed, []
        now, ended = time.monotonic(), execution.ended
        handed_over = execution.handed_over
        turned = execution.machine.paused != (self.run.state == "paused")
        tells = ended is not None or handed_over is not None or turned or not outcomes or now >= self._tell_at
        changes = execution.machine.changes() if tells else ()
        urgent = outcomes or opened or closed or ended or handed_over
        if not (urgent or changes or turned or self.run.state == "recovering"):
            return None
        transitions: tuple[Transition, ...] = ()
        if tells:
            self._tell_at = now + PROGRESS_S
            transitions = self.transitions(execution, changes)
        lines, written = self._written(execution, outcomes)
        flush = Flush(
            run=self.run,
            epoch=self.epoch,
            steps=execution.machine.steps() if transitions else None,
            transitions=transitions,
            outcomes=written,
            rest=None
            if handed_over is None
            else Rest(self.heard, self.run.created_at, execution.machine.paused),
            output=ended.output if ended is not None else None,
            attempts=self._attempts(execution, now, last=bool(ended or handed_over)) if transitions else None,
            opened=() if ended or handed_over else tuple(map(opening, opened)),
            closed=tuple((node, items.text(item)) for node, item in (a.place for a in closed)),
            waits=execution.program.waits,
            lines=lines,
        )
        return flush, [each.activation for each in outcomes]

    def _line(self, execution: Execution, record: Record, line: Line) -> LogLine:
        self.said += 1
        at_ms = max(0, int((line.at - execution.machine.created_at) * 1000))
        path, item = record.activation.place
        return LogLine(
            number=self.said,
            at=self.run.created_at + timedelta(milliseconds=at_ms),
            step=path,
            item=items.text(item),
            level=line.level,
            message=line.message,
            value=line.value,
        )

    def _attempts(self, execution: Execution, now: float, *, last: bool) -> bytes | None:
        """What is kept of them. A run that takes long has it written on the way, too: of a process that died it is known."""
        if not last and (now < self._keep_at or now - execution.begun < PROGRESS_S):
            return None
        kept = execution.machine.history.written()
        self._keep_at = now + len(kept or b"") / KEPT_BYTES_S
        return kept

    def rest(self, execution: Execution) -> Flush | None:
        """The last record of a run before it rests: until a time is over, if nothing that it waits for comes. None: it is broken."""
        return self._asking(self._rest, execution)

    def _rest(self, execution: Execution) -> Flush:
        transitions = self.transitions(execution, execution.machine.changes())
        machine = execution.machine
        if not machine.paused:
            at_ms = max(0, int((machine.now - machine.created_at) * 1000))
            # Whoever counts on it for an answer still has it at work: it waits for itself, not for others.
            state: RunState = "running" if machine.attempts.repeats.waiting else "waiting"
            self.run = msgspec.structs.replace(self.run, state=state)
            transitions = (*transitions, self._next(at_ms, state))
        until = self.run.created_at + timedelta(seconds=machine.rests_until - machine.created_at)
        return Flush(
            run=self.run,
            epoch=self.epoch,
            steps=machine.steps() if transitions else None,
            transitions=transitions,
            attempts=machine.history.written() if transitions else None,
            rest=Rest(self.heard, until, machine.paused),
        )

    def transitions(self, execution: Execution, changes: Sequence[Step]) -> tuple[Transition, ...]:
        """The next transitions: the run's return to work, steps in topological order, the run's end."""
        machine, ended = execution.machine, execution.ended
        at_ms = max(0, int((machine.now - machine.created_at) * 1000))
        given: list[Transition] = []
        state: RunState = "paused" if machine.paused else "running"
        if self.run.state != state:
            self.run = msgspec.structs.replace(self.run, state=state)
            given.append(self._next(at_ms, state))
        given += [self._next(at_ms, step.state, step) for step in changes]
        if ended is not None:
            self._end(ended, at_ms)
            given.append(msgspec.structs.replace(self._next(at_ms, ended.state), error=ended.error))
        return tuple(given)

    def _end(self, ended: Ended, at_ms: int) -> None:
        ended_at = self.run.created_at + timedelta(milliseconds=at_ms)
        self.run = msgspec.structs.replace(self.run, state=ended.state, ended_at=ended_at, error=ended.error)

    def _next(self, at_ms: int, state: str, step: Step | None = None) -> Transition:
        self.seq += 1
        return Transition(self.seq, at_ms, state, step)


def over(run: Run, done: Done) -> tuple[Run, tuple[Transition, ...]]:
    """A run that was over as soon as it began, and what it went through."""
    given = [*first(run)]
    given += [Transition(n, done.took_ms, step.state, step) for n, step in enumerate(done.steps, start=2)]
    given.append(Transition(len(given) + 1, done.took_ms, "succeeded"))
    ended_at = run.created_at + timedelta(milliseconds=done.took_ms)
    return msgspec.structs.replace(run, state="succeeded", ended_at=ended_at), tuple(given)


def _outcome(record: Record) -> Outcome:
    path, item = record.activation.place
    return Outcome(path, items.text(item), record.body)


def first(run: Run) -> tuple[Transition, ...]:
    """What a run begins with."""
    return (Transition(1, 0, run.state),)
