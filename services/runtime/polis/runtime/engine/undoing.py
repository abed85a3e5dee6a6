"""Undoing: when a run has failed or was cancelled, what undoes its effects is done, the last effect first, one at a time.

Its plan is in the journal: how the run ends (`END`), the outcomes that can be undone, and the outcomes of what has undone them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from polis.graph.undo import INPUT, NODE
from polis.proto.runtime import RunError
from polis.runtime.engine import item as items
from polis.runtime.engine.activation import Failure, Recorded
from polis.runtime.engine.frame import Frame
from polis.runtime.engine.provenance import NONE, Origins
from polis.runtime.engine.requests import Ended

if TYPE_CHECKING:
    from polis.runtime.engine.item import Item
    from polis.runtime.engine.machine import Machine
    from polis.runtime.engine.program import Program

END = ("@end", items.ROOT)
"""Where the journal has how a run ends, before all is undone."""
UNDO_S = 3600.0
"""How long undoing may take in all: what is not undone by then is told, and left."""
MAX_MESSAGE = 2000


class Undoable(Struct, frozen=True, eq=False):
    """An effect that is to be undone, and by what."""

    place: tuple[str, Item]
    program: Program
    outcome: Recorded


class Undoing:
    """The end of a run. `ready` has what can go on."""

    __slots__ = ("_at_work", "_failures", "_machine", "_todo", "ready", "verdict")

    def __init__(
        self, machine: Machine, verdict: Recorded, recorded: Mapping[tuple[str, Item], Recorded]
    ) -> None:
        self._machine = machine
        self.verdict = verdict
        undos = {stage.path: stage.undo for stage in machine.program.steps if stage.undo is not None}
        found = [
            Undoable(place, undos[place[0]], outcome)
            for place, outcome in recorded.items()
            if outcome.nth and place[0] in undos
        ]
        self._todo = sorted(found, key=_nth)
        self._at_work: tuple[Undoable, Frame] | None = None
        self._failures: list[Failure] = []
        self.ready: deque[Frame] = deque()

    @property
    def origins(self) -> Origins:
        """What undoes an effect takes what that was made of as it stands in the journal."""
        return NONE

    @property
    def deadline(self) -> float:
        return self._machine.created_at + self.verdict.at_ms / 1000 + UNDO_S

    @property
    def goes_on(self) -> bool:
        return bool(self.ready) or self._at_work is None

    def hear(self, frame: Frame) -> None:
        """Something can happen in a frame."""
        self.ready.append(frame)

    def turn(self) -> None:
        """Go on until the machine's turn is over."""
        machine = self._machine
        while machine.state == "running":
            if self._at_work is None and not self._begin():
                self._end()
                return
            if not self.ready:
                return
            frame = self.ready.popleft()
            if not frame.over:
                frame.turn()
            frame.stirred = False
            if frame.over:
                self._took(frame)
            elif frame.inboxes.ready:
                frame.stir()
            if machine.now >= machine.turn_ends:
                return

    def give_up(self, failure: Failure) -> None:
        """Leave what is at work as it is."""
        if self._at_work is not None:
            self._at_work[1].end_with(failure)

    def out_of_time(self) -> None:
        """Leave all that is not undone."""
        late = Failure("undo.timeout", f"not undone within {UNDO_S:g} s")
        if self._at_work is not None:
            undoable, frame = self._at_work
            frame.close()
            self._todo.append(undoable)
        for undoable in reversed(self._todo):
            self._failures.append(Failure(late.kind, late.message, step=f"{undoable.place[0]}/{NODE}"))
        self._end()

    def break_off(self, failure: Failure) -> Ended:
        """How the run ends if nothing more can be undone, for a reason that lies in none of the steps."""
        self._failures.append(msgspec.structs.replace(failure, step=NODE))
        return self._ended()

    def _begin(self) -> bool:
        if not self._todo:
            return False
        undoable = self._todo.pop()
        path, item = undoable.place
        frame = Frame(self._machine, undoable.program, self, item)
        self._at_work = undoable, frame
        self._machine.enter(frame)
        outputs: dict[str, list[object]] = {}
        for port, value in undoable.outcome.emitted:
            outputs.setdefault(port, []).append(value)
        key = items.key(self._machine.run, path, item)
        frame.start(
            {INPUT: {"step": path, "key": key, "inputs": undoable.outcome.inputs, "outputs": outputs}}
        )
        frame.stir()
        return True

    def _took(self, frame: Frame) -> None:
        if self._at_work is None or self._at_work[1] is not frame:
            return
        self._machine.leave(frame)
        self._at_work = None
        if frame.failed is not None:
            self._failures.append(frame.failed)

    def _end(self) -> None:
        self._machine.conclude(self._ended())

    def _ended(self) -> Ended:
        why = self.verdict.failure
        error = None if why is None else RunError(why.step, why.kind, why.message)
        if self._failures:
            told = "; ".join(f"`{f.step}` failed: {f.message} ({f.kind})" for f in self._failures)
            first = error or RunError(self._failures[0].step, "undo.failed", "")
            message = f"{first.message}; {told}".removeprefix("; ")[:MAX_MESSAGE]
            error = RunError(first.step, first.kind, message)
        return Ended(self.verdict.ended or "failed", error=error)


def _nth(undoable: Undoable) -> int:
    return undoable.outcome.nth
