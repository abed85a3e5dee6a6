"""A process in a simulated world: it stands where the shell stands, and may die, freeze, or live on without its run."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Coroutine, Generator, Mapping
from typing import TYPE_CHECKING

import msgspec

from polis.runtime.component import Logger
from polis.runtime.engine.activation import Activation, Attempt, Recorded
from polis.runtime.engine.machine import Machine
from polis.runtime.engine.requests import Abort, Close, Ended, HandOver, Launch, Open, Record, Room

if TYPE_CHECKING:
    from polis.runtime.engine.item import Item
    from polis.runtime.engine.simulation import World
    from polis.runtime.reach import Reach

Work = Coroutine[object, object, None]
_recorded = msgspec.json.Decoder(Recorded)


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
            elapsed_s=world.now,
            paused_s=world.now,  # how much time a run has is not what is played here
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
            # The run's own time would wake it as well, and hide that nothing else does.
            repeat = self.machine.attempts.timers.next_repeat
            due_s = math.inf if self.machine.paused else repeat - self._clock()
            self.world.park(self.epoch, self._taken, due_s, paused=self.machine.paused)
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
