"""A world of chance for the engine: virtual time, tasks, a journal, waits, crashes, zombies, cancels, all from one seed.

It stands where the shell stands and keeps a record of what happened; the tests judge the record. Nothing here knows how
the engine works, only what it may ask for.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Mapping
from itertools import count
from random import Random
from typing import TYPE_CHECKING

import msgspec

from polis.runtime.engine.activation import Activation, Recorded
from polis.runtime.engine.outside import undoable
from polis.runtime.engine.requests import Ended, Open
from polis.runtime.engine.simulated import Process
from polis.runtime.engine.undoing import END

if TYPE_CHECKING:
    from polis.runtime.engine.item import Item
    from polis.runtime.engine.program import Program

_recorded = msgspec.json.Decoder(Recorded)
MAX_EVENTS = 300_000
"""Without any outcome, past which a simulated run is called stuck."""


class Chances(msgspec.Struct, frozen=True):
    """How likely each mishap is, per event. cancel_after: virtual seconds; None for never.

    lost: a process is not told that what it waits for has come, and finds out late. pauses: how often it is paused.
    """

    crash: float = 0.0
    most_crashes: int = 10
    zombie: float = 0.5
    duplicate: float = 0.0
    lost: float = 0.0
    pauses: int = 0
    longest_delay_s: float = 1.0
    cancel_after: float | None = None


class World:
    """What outlives a process: the journal, the run's row, and the outside with what was done to it, by key.

    epoch: the fencing token; what a process with an older one wants to commit is refused. open: what is waited for;
    bring: what somebody outside makes of what a wait told.
    completions: outcomes that came from outside. parks: how often the run needed no process.
    """

    def __init__(self, seed: int, program: Program, inputs: Mapping[str, object], chances: Chances) -> None:
        self.random = Random(seed)  # noqa: S311 - a seeded course of events is the point
        self.program = program
        self.inputs = inputs
        self.chances = chances
        self.now = 0.0
        self.epoch = 0
        self.journal: dict[tuple[str, Item], bytes] = {}
        self.effects: list[tuple[str, object]] = []
        self.ends: list[Ended] = []
        self.open: dict[tuple[str, Item], bytes | None] = {}
        self.bring: Callable[[bytes], Recorded] = _recorded.decode
        self.completions = 0
        self.paused = False
        self.parks = 0
        self.refused = 0
        self.crashes = 0
        self._events: list[tuple[float, int, Callable[[], object]]] = []
        self._ticket = count()
        self._process: Process | None = None

    @property
    def ended(self) -> bool:
        return bool(self.ends)

    def run(self) -> None:
        """From the start to the end of the run, and on until nothing of it moves any more."""
        self._boot()
        if self.chances.cancel_after is not None:
            self.after(self.cancel, self.chances.cancel_after)
        for _ in range(self.chances.pauses):
            self.after(self.pause, self.random.random() * 5 * self.chances.longest_delay_s)
        known = quiet = 0
        while self._events:
            self.now, _, action = heapq.heappop(self._events)
            action()
            self.perhaps_crash()
            quiet = quiet + 1 if known == len(self.journal) and not self.ended else 0
            known = len(self.journal)
            if quiet > MAX_EVENTS:
                raise AssertionError("the run does not come to an end")
        if not self.ended:
            raise AssertionError("nothing moves any more, but the run has not ended")

    def after(self, action: Callable[[], object], delay: float | None = None) -> None:
        """Let something happen later; by default at a time of chance, so that nothing keeps its order."""
        wait = self.random.random() * self.chances.longest_delay_s if delay is None else delay
        heapq.heappush(self._events, (self.now + wait, next(self._ticket), action))

    def perhaps_crash(self) -> None:
        """End the process, or freeze it so that it comes back as a zombie; another one takes the run over."""
        chances = self.chances
        if self.ended or self.crashes >= chances.most_crashes or self.random.random() >= chances.crash:
            return
        self.crashes += 1
        if self._process is not None and self.random.random() >= self.chances.zombie:
            self._process.kill()
        self._boot()

    def cancel(self) -> None:
        """The run's row says `cancelled` from now on; its process hears of it later."""
        if self.ended or END in self.journal:
            return
        self.open.clear()
        if any(_recorded.decode(body).nth for body in self.journal.values()):
            verdict = Recorded(ended="cancelled", at_ms=int(self.now * 1000))
            self.journal[END] = msgspec.json.encode(verdict)
            self.paused = False
            self._boot()
            return
        self.ends.append(Ended("cancelled"))
        process = self._process
        if process is not None:
            self.after(process.hear_of_cancel)

    def pause(self) -> None:
        """The run's row says that it is paused, until a time of chance; its process hears of both later."""
        if self.ended or self.paused:
            return
        self.paused = True
        self.after(self.resume, self.random.random() * 5 * self.chances.longest_delay_s)
        if self._process is not None:
            self.after(self._process.hear_of_pause)

    def resume(self) -> None:
        self.paused = False
        if self._process is not None:
            self.after(self._process.hear_of_pause)
        elif not self.ended:
            self._boot()

    def commit(self, epoch: int, activation: Activation, body: bytes) -> bool:
        """The fenced commit of an outcome."""
        if epoch != self.epoch or self.ended:
            self.refused += 1
            return False
        self.journal[activation.place] = body
        return True

    def hand_over(self, epoch: int, outcomes: Mapping[tuple[str, Item], bytes], verdict: bytes) -> None:
        """The fenced commit of how the run ends, with the last outcomes: another process undoes what they did."""
        if epoch != self.epoch or self.ended:
            self.refused += 1
            return
        self.journal |= outcomes
        self.journal[END] = verdict
        self.open.clear()
        self._boot()

    def end(self, epoch: int, ended: Ended) -> None:
        if epoch == self.epoch and not self.ended:
            self.ends.append(ended)
            self.open.clear()
        else:
            self.refused += 1

    def wait(self, epoch: int, asked: Open) -> bool:
        """The fenced commit of a wait. Its outcome comes at a time of chance, now and then twice, and not the same."""
        if epoch != self.epoch or self.ended:
            self.refused += 1
            return False
        place = asked.activation.place
        if place in self.open or place in self.journal:
            return True
        self.open[place] = asked.undo
        for _ in range(1 + (self.random.random() < self.chances.duplicate)):
            delay = self.random.random() * 3 * self.chances.longest_delay_s
            self.after(lambda: self.complete(place, undoable(self.bring(asked.data), asked.undo)), delay)
        return True

    def complete(self, place: tuple[str, Item], outcome: Recorded) -> bool:
        """Somebody outside brings an outcome, in one commit; whether it was waited for."""
        if self.ended or place not in self.open:
            return False
        del self.open[place]
        self.journal[place] = msgspec.json.encode(outcome)
        self.completions += 1
        if self._process is None:
            if not self.paused:
                self._boot()
        else:
            lost = self.random.random() < self.chances.lost
            self.after(self._process.look, 5 * self.chances.longest_delay_s if lost else None)
        return True

    def close(self, epoch: int, activation: Activation) -> None:
        if epoch == self.epoch:
            self.open.pop(activation.place, None)

    def park(self, epoch: int, taken: int, due_s: float, *, paused: bool) -> bool:
        """The fenced commit of a run that rests: no process has it from now on, until it is due.

        taken, paused: what that one has heard.
        """
        if epoch != self.epoch or self.ended:
            self.refused += 1
            return False
        self.parks += 1
        self._process = None
        if paused != self.paused or (self.completions > taken and not paused):
            self._boot()
        elif due_s < math.inf:
            self.after(lambda: self._wake(epoch), max(0.0, due_s))
        return True

    def _wake(self, epoch: int) -> None:
        """A run that has rested since then is due."""
        if epoch == self.epoch and self._process is None and not self.paused and not self.ended:
            self._boot()

    def _boot(self) -> None:
        self.epoch += 1
        self._process = Process(self)
        self.after(self._process.start)
