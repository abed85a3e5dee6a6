"""Graphs in graphs: the turns of a node's body in one activation, each a frame of its own, as the node's driver asks."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from polis.graph import compiled
from polis.runtime.component import BodyFailed
from polis.runtime.engine import frame as frames
from polis.runtime.engine import item as items
from polis.runtime.engine.failure import misfit
from polis.runtime.engine.provenance import Origins

if TYPE_CHECKING:
    from polis.runtime.component import Driver
    from polis.runtime.engine.activation import Activation, Attempt
    from polis.runtime.engine.frame import Frame
    from polis.runtime.engine.program import Program

AT_ONCE = 1_000
"""Turns at work in one run, beyond the one that every activation may have: an inner graph never waits for an outer one."""

ANEW = 1_000_000_000
"""What each further attempt adds to the numbers of turns: what is done anew is named anew, whatever an attempt before did."""


class Bodies:
    """The turns of one activation. `ready` has those in which something can happen, or that have ended."""

    __slots__ = ("_begun", "_driver", "activation", "attempt", "item", "program", "ready", "turns")

    def __init__(self, attempt: Attempt, driver: Driver, program: Program) -> None:
        self.attempt = attempt
        self.activation: Activation = attempt.activation
        self.item = self.activation.place[1]
        self.program = program
        self.turns: dict[Frame, int] = {}
        self.ready: deque[Frame] = deque()
        self._driver = driver
        self._begun = 0

    def drive(self) -> None:
        """Go on with what can go on, until the machine's turn is over."""
        try:
            self._drive()
        except Exception as error:  # noqa: BLE001 - a component may raise anything: it is its run's failure
            self.activation.machine.attempts.failed(self.attempt, error)

    @property
    def origins(self) -> Origins:
        """What all that a turn is given was made of."""
        return self.activation.origins

    def hear(self, turn: Frame) -> None:
        """Something can happen in a turn."""
        self.ready.append(turn)
        self.activation.frame.mark_ready(self.activation.node)

    def close(self) -> None:
        """Stop all turns: nobody waits for them any more."""
        turns, self.turns = self.turns, {}
        self.ready.clear()
        for turn in turns:
            turn.close()
            self.activation.machine.leave(turn)

    def _drive(self) -> None:
        machine, frame = self.activation.machine, self.activation.frame
        while self.attempt.current:
            if self._is_through():
                self._driver.finish()
                machine.attempts.finished(self.attempt)
                return
            if not self.ready:
                return
            turn = self.ready.popleft()
            if not turn.over:
                turn.turn()
            turn.stirred = False
            if turn.over:
                self._take(turn)
            elif turn.inboxes.ready:
                turn.stir()
            if machine.now >= machine.turn_ends:
                frame.mark_ready(self.activation.node)
                return

    def _is_through(self) -> bool:
        """Begin as many turns as may be at work; whether none is, and none is asked for."""
        machine = self.activation.machine
        while len(self.turns) < self._driver.at_once and (not self.turns or machine.may_begin):
            if not machine.attempts.has_room(self.activation):
                return False
            inputs = self._driver.next()
            if inputs is None:
                return not self.turns
            number = (self.attempt.number - 1) * ANEW + self._begun
            turn = frames.Frame(machine, self.program, self, items.inside(self.item, number))
            self.turns[turn] = self._begun
            self._begun += 1
            machine.enter(turn)
            self._start(turn, inputs)
            turn.stir()
        return False

    def _start(self, turn: Frame, inputs: Mapping[str, object]) -> None:
        """What a graph is given from inside its run is checked here, as that of a run is where it is started."""
        for name, entry in self.program.graph.inputs.items():
            if entry.schema and name in inputs:
                wrong = misfit(compiled(entry.schema), name, inputs[name])
                if wrong is not None:
                    step = f"{self.activation.node.stage.path}/{entry.target.partition('.')[0]}"
                    turn.end_with(msgspec.structs.replace(wrong, step=step))
                    return
        turn.start(inputs)

    def _take(self, turn: Frame) -> None:
        number = self.turns.pop(turn)
        self.attempt.heartbeat()
        self.activation.machine.leave(turn)
        failure = turn.failed
        self.activation.origins |= turn.origins
        if failure is None:
            self._driver.ended(number, turn.given())
        else:
            self._driver.failed(
                number, BodyFailed(failure.step, failure.kind, failure.message, failure.retryable)
            )
