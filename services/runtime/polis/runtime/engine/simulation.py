"""A world of chance for the engine: virtual time, tasks, a journal, waits, crashes, zombies, cancels, all from one seed.

It stands where the shell stands and keeps a record of what happened; the tests judge the record. Nothing here knows how
the engine works, only what it may ask for.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Mapping
from itertools import count
from random import Random
from typing import TYPE_CHECKING

import msgspec

from polis.runtime.component import Logger
from polis.runtime.engine.activation import Activation, Attempt, Recorded
from polis.runtime.engine.machine import Machine
from polis.runtime.engine.requests import Abort, Close, Ended, HandOver, Launch, Open, Record, Room
from polis.runtime.engine.undoing import END

if TYPE_CHECKING:
    from polis.runtime.engine.item import Item
    from polis.runtime.engine.program import Program
    from polis.runtime.reach import Reach

Work = Coroutine[object, object, None]
_recorded = msgspec.json.Decoder(Recorded)
MAX_EVENTS = 1_000_000
"""Past which a simulated run is called stuck."""


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
        self.open: set[tuple[str, Item]] = set()
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
        for _ in range(MAX_EVENTS):
            if not self._events:
                break
            self.now, _, action = heapq.heappop(self._events)
            action()
            self.perhaps_crash()
        else:
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
        self.open.add(place)
        for _ in range(1 + (self.random.random() < self.chances.duplicate)):
            delay = self.random.random() * 3 * self.chances.longest_delay_s
            self.after(lambda: self.complete(place, self.bring(asked.data)), delay)
        return True

    def complete(self, place: tuple[str, Item], outcome: Recorded) -> bool:
        """Somebody outside brings an outcome, in one commit; whether it was waited for."""
        if self.ended or place not in self.open:
            return False
        self.open.discard(place)
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
            self.open.discard(activation.place)

    def park(self, epoch: int, taken: int, *, paused: bool) -> bool:
        """The fenced commit of a run that rests: no process has it from now on. taken, paused: what that one has heard."""
        if epoch != self.epoch or self.ended:
            self.refused += 1
            return False
        self.parks += 1
        self._process = None
        if paused != self.paused or (self.completions > taken and not paused):
            self._boot()
        return True

    def _boot(self) -> None:
        self.epoch += 1
        self._process = Process(self)
        self.after(self._process.start)


class Process:
    """One process that drives the run. It may be killed at any moment, or be a zombie without knowing."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.epoch = world.epoch
        self.alive = True
        self._ticks = 0
        self._machine: Machine | None = None
        self._work: dict[Attempt, Work] = {}
        self._waiting_for_room: set[Attempt] = set()
        self._recording: dict[Activation, bytes] = {}
        self._opening = 0
        self._taken = 0

    @property
    def machine(self) -> Machine:
        if self._machine is None:
            raise AssertionError("the process has not started")
        return self._machine

    def start(self) -> None:
        world = self.world
        if world.ended or not self.alive:
            return
        self._taken = world.completions
        recorded = {place: _recorded.decode(body) for place, body in world.journal.items()}
        self._machine = Machine(
            "run",
            world.program,
            self,
            clock=self._clock,
            random=world.random,
            recorded=recorded,
            waits=world.open,
        )
        if world.paused:
            self._machine.pause()
        self._machine.start(world.inputs)
        self._pump()

    def kill(self) -> None:
        self.alive = False
        for work in self._work.values():
            work.close()

    def hear_of_cancel(self) -> None:
        if self.alive and self._machine is not None:
            self._machine.cancel()
            self._carry_out()

    def hear_of_pause(self) -> None:
        if self.alive and self._machine is not None:
            if self.world.paused:
                self._machine.pause()
            else:
                self._machine.resume()
            self._pump()

    def look(self) -> None:
        """Take what was waited for and is in the journal now."""
        if not self.alive or self._machine is None:
            return
        for node, item in list(self._machine.outside.open):
            body = self.world.journal.get((node, item))
            if body is not None and self._machine.completed(node, item, _recorded.decode(body)):
                self._taken += 1
        self._pump()

    # What steps may ask for (the engine's Host).

    def log(self, node: str) -> Logger:  # noqa: ARG002 - nobody listens
        return _Silence()

    def crashed(self, node: str, error: Exception) -> None:
        raise AssertionError(f"{node} crashed") from error

    async def room(self, attempt: Attempt) -> None:
        if self.machine.wait_for_room(attempt):
            await _Wait("room")

    def artifact(self, artifact_id: str) -> AsyncIterator[bytes]:
        raise NotImplementedError

    @property
    def reach(self) -> Reach:
        raise NotImplementedError

    def _clock(self) -> float:
        # Each look takes a moment, so a turn's budget runs out at any place.
        self._ticks += 1
        return self.world.now + self._ticks * 1e-9

    def _pump(self) -> None:
        """Give the machine a turn of chance length and do what it asks for; again later while it has more."""
        if not self.alive:
            return
        more = self.machine.turn(self.world.random.choice((0.0, 3e-9, 1e-8, 1e-6)))
        self._carry_out()
        if self.alive and more:
            self.world.after(self._pump)
        elif self.alive and self.machine.state == "running":
            if self.machine.next_due < math.inf:
                self.world.after(self._wake, max(0.0, self.machine.next_due - self._clock()))
            if self.machine.rests:
                linger = (1 + 9 * self.world.random.random()) * self.world.chances.longest_delay_s
                self.world.after(self._park, linger)

    def _wake(self) -> None:
        if self.alive and self.machine.state == "running" and self.machine.next_due <= self._clock():
            self.machine.wake()
            self._pump()

    def _carry_out(self) -> None:
        world, machine = self.world, self.machine
        requests, machine.requests = machine.requests, []
        for request in requests:
            match request:
                case Launch(attempt=attempt):
                    self._launch(attempt)
                case Abort(attempt=attempt):
                    if (work := self._work.pop(attempt, None)) is not None:
                        work.close()
                case Room(attempt=attempt):
                    self._waiting_for_room.discard(attempt)
                    world.after(lambda attempt=attempt: self._resume(attempt))  # type: ignore[misc]
                case HandOver(verdict=verdict):
                    self._drop_work()
                    outcomes = {a.place: body for a, body in self._recording.items()}
                    world.after(lambda v=verdict, o=outcomes: self._hand_over(o, v))  # type: ignore[misc]
                case Record(activation=activation, body=body):
                    self._recording[activation] = body
                    world.after(lambda a=activation, b=body: self._commit(a, b))  # type: ignore[misc]
                case Open() | Close():
                    self._wait(request)
                case Ended():
                    self._drop_work()
                    world.after(lambda request=request: self._end(request))  # type: ignore[misc]

    def _wait(self, request: Open | Close) -> None:
        if isinstance(request, Open):
            self._opening += 1
            self.world.after(lambda: self._open(request))
        else:
            self.world.after(lambda: self.world.close(self.epoch, request.activation))

    def _launch(self, attempt: Attempt) -> None:
        if self.machine.paused:
            raise AssertionError(f"{attempt.key} was begun although the run is paused")
        self.world.after(lambda: self._resume(attempt))

    def _resume(self, attempt: Attempt) -> None:
        """Let a task run to its next wait."""
        if not self.alive or attempt in self._waiting_for_room:
            return
        if attempt not in self._work:
            if not attempt.current:
                return
            self._work[attempt] = _work_of(attempt)
        try:
            waits_for = self._work[attempt].send(None)
        except StopIteration:
            self._settle(attempt, None)
        except Exception as error:  # noqa: BLE001 - whatever a step raises is the engine's to judge
            self._settle(attempt, error)
        else:
            if waits_for == "room":
                self._waiting_for_room.add(attempt)
            else:
                self.world.after(lambda: self._resume(attempt))
        self._pump()

    def _settle(self, attempt: Attempt, error: Exception | None) -> None:
        self._work.pop(attempt, None)
        for _ in range(1 + (self.world.random.random() < self.world.chances.duplicate)):
            if error is None:
                self.machine.finished(attempt)
            else:
                self.machine.failed(attempt, error)

    def _commit(self, activation: Activation, body: bytes) -> None:
        # A process that dies now leaves behind what was committed, whether or not it hears of it.
        if not self.alive:
            return
        self._recording.pop(activation, None)
        if not self.world.commit(self.epoch, activation, body):
            self.kill()  # fenced: it is a zombie, or the run has been cancelled
            return
        self.world.perhaps_crash()
        for _ in range(1 + (self.world.random.random() < self.world.chances.duplicate)):
            if self.alive:
                self.machine.recorded(activation)
        self._pump()

    def _open(self, asked: Open) -> None:
        if not self.alive:
            return
        self._opening -= 1
        if not self.world.wait(self.epoch, asked):
            self.kill()
            return
        self.world.perhaps_crash()
        self.look()

    def _park(self) -> None:
        """Leave the run while it rests, unless something has happened since."""
        if self.alive and self.machine.rests and not self._opening:
            self.world.park(self.epoch, self._taken, paused=self.machine.paused)
            self.kill()

    def _drop_work(self) -> None:
        for work in self._work.values():
            work.close()
        self._work.clear()

    def _hand_over(self, outcomes: Mapping[tuple[str, Item], bytes], verdict: bytes) -> None:
        if self.alive:
            self.kill()
            self.world.hand_over(self.epoch, outcomes, verdict)

    def _end(self, ended: Ended) -> None:
        if self.alive:
            self.world.end(self.epoch, ended)
            self.kill()


def _work_of(attempt: Attempt) -> Work:
    node = attempt.activation.node
    if node.collector is not None:
        return node.collector.finish()
    if node.stage.task is None:
        raise AssertionError("only tasks and collectors are launched")
    return node.stage.task(attempt, attempt.activation.inputs)


class _Wait:
    """What a simulated step awaits: `room`, or a time of chance."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __await__(self) -> Generator[str, None, None]:
        yield self._what


async def pause() -> None:
    """Let a simulated step take some time."""
    await _Wait("time")


class _Silence:
    def info(self, event: str, **fields: object) -> None:
        pass

    def warning(self, event: str, **fields: object) -> None:
        pass
