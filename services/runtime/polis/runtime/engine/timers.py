"""What is to happen in a run at a time: attempts to be repeated, attempts that take too long or are silent for too long."""

from __future__ import annotations

import heapq
import math
from itertools import count
from typing import TYPE_CHECKING

from polis.runtime.component import StepFailed
from polis.runtime.engine.requests import Abort

if TYPE_CHECKING:
    from polis.runtime.engine.activation import Activation, Attempt
    from polis.runtime.engine.machine import Machine

Timer = tuple[float, int, "Activation", "Attempt | None"]
"""When, a ticket that keeps equal times in order, and the attempt that is looked at; None for one to be repeated."""


class Timers:
    """The timers of one run. One whose activation has gone on is passed over; a run that is paused repeats nothing."""

    __slots__ = ("_held", "_machine", "_ticket", "_timers")

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._timers: list[Timer] = []
        self._held: list[Activation] = []
        self._ticket = count()

    @property
    def next_due(self) -> float | None:
        while self._timers:
            due, _, activation, attempt = self._timers[0]
            if activation.state == "retrying" if attempt is None else attempt.current:
                return due
            heapq.heappop(self._timers)
        return None

    @property
    def due_at_rest(self) -> float | None:
        """When the first attempt is to be repeated, or the first graph in a graph has taken too long.

        Of what is under way at rest only these go on as they began.
        """
        dues = (
            due
            for due, _, activation, attempt in self._timers
            if attempt is not None and attempt.current and activation.node.stage.body is not None
        )
        due = min((self.next_repeat, *dues))
        return None if due == math.inf else due

    @property
    def next_repeat(self) -> float:
        """When the first attempt is to be repeated; infinity for none."""
        dues = (
            due
            for due, _, activation, attempt in self._timers
            if attempt is None and activation.state == "retrying"
        )
        return min(dues, default=math.inf)

    def wake(self, now: float) -> None:
        """Do what the time has come for."""
        machine = self._machine
        while self._timers and self._timers[0][0] <= now and machine.state == "running":
            _, _, activation, attempt = heapq.heappop(self._timers)
            if attempt is not None:
                self._judge(attempt, now)
            elif machine.paused:
                self._held.append(activation)
            else:
                self._again(activation)

    def release(self) -> None:
        """Repeat what was due while the run was paused."""
        held, self._held = self._held, []
        for activation in held:
            self._again(activation)

    def repeat(self, activation: Activation, due: float) -> None:
        """Make another attempt then."""
        self._set(due, activation, None)

    def limit(self, attempt: Attempt) -> None:
        """Look at an attempt when it has taken too long, or has given no sign of life for too long."""
        stage = attempt.activation.node.stage
        due = []
        if stage.timeout_s is not None:
            due.append(attempt.began + stage.timeout_s)
        if stage.silence_s is not None:
            due.append(attempt.seen + stage.silence_s)
        if due:
            self._set(min(due), attempt.activation, attempt)

    def _again(self, activation: Activation) -> None:
        if activation.state == "retrying":
            self._machine.attempts.repeats.end(activation)
            self._machine.attempts.begin(activation)

    def _judge(self, attempt: Attempt, now: float) -> None:
        stage = attempt.activation.node.stage
        if not attempt.current:
            return
        if stage.timeout_s is not None and now >= attempt.began + stage.timeout_s:
            why = StepFailed("step.timeout", f"it took longer than {stage.timeout_s} s", retryable=True)
        elif stage.silence_s is not None and now >= attempt.seen + stage.silence_s:
            why = StepFailed("step.silent", f"no sign of life for {stage.silence_s} s", retryable=True)
        else:
            self.limit(attempt)
            return
        self._machine.requests.append(Abort(attempt))
        self._machine.attempts.failed(attempt, why)

    def _set(self, due: float, activation: Activation, attempt: Attempt | None) -> None:
        heapq.heappush(self._timers, (due, next(self._ticket), activation, attempt))
