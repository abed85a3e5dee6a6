"""One run on the event loop: the shell that carries out what its engine asks for and brings back what came of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from random import Random
from typing import TYPE_CHECKING, ParamSpec, Protocol, TypeVar

from polis.runtime.component import Logger, StepFailed
from polis.runtime.engine.activation import Activation, Attempt, Failure, Recorded
from polis.runtime.engine.machine import Machine
from polis.runtime.engine.requests import Abort, Close, Ended, HandOver, Launch, Open, Record, Request, Room
from polis.runtime.shell import coroutines
from polis.runtime.shell.turns import TURN_S
from polis.telemetry import current, log

if TYPE_CHECKING:
    from polis.proto.runtime import Run
    from polis.runtime.engine.item import Item
    from polis.runtime.engine.program import Program
    from polis.runtime.reach import Reach
    from polis.runtime.shell.turns import Turn, Turns

SLICE_S = 0.002
"""How long a step may emit without waiting before it lets others on."""
AT_ONCE_S = 0.005
"""A run that ends within this, and has no effects, is executed before it is written, and written once."""

_BROKEN = Failure("internal", "something went wrong inside; the id of the run finds it in the record")
"""What is told of an exception that nobody foresaw: its text may hold anything."""

Work = Coroutine[object, object, None]
P = ParamSpec("P")
T = TypeVar("T")
_random = Random()  # noqa: S311 - jitter between attempts


class Owner(Protocol):
    """Who executes runs: gives them turns and their steps tasks, reads their files, and writes down what becomes of them."""

    turns: Turns

    def launch(self, execution: Execution, attempt: Attempt, work: Work) -> None: ...
    def read(self, execution: Execution, artifact_id: str) -> AsyncIterator[bytes]: ...
    def reach(self, execution: Execution) -> Reach: ...
    def changed(self, execution: Execution) -> None: ...


class Execution:
    """A run that this process executes.

    outcomes, opened, closed: what waits to be made durable. ended: how it ended, once it has. held: it is not durable yet that
    there is such a run, so only what has no effect is done; or it is laid to rest, so nothing is. broken: its engine has a
    defect, and is not asked any more.
    """

    def __init__(
        self,
        run: Run,
        program: Program,
        owner: Owner,
        *,
        age_s: float = 0.0,
        paused_s: float = 0.0,
        timeout_s: float | None = None,
        recorded: Mapping[tuple[str, Item], Recorded] | None = None,
        waits: Mapping[tuple[str, Item], bytes | None] | None = None,
    ) -> None:
        self.run = run
        self.program = program
        self.owner = owner
        self.ended: Ended | None = None
        self.handed_over: HandOver | None = None
        """It is to end, when what it did is undone."""
        self.outcomes: list[Record] = []
        self.opened: list[Open] = []
        self.closed: list[Activation] = []
        self.held = True
        self.broken = False
        self.begun = time.monotonic()
        self.slow_told = False
        self.starter = current()
        """The trace of the request that started it, where that was here."""
        self.machine = Machine(
            str(run.id),
            program,
            self,
            clock=time.monotonic,
            random=_random,
            recorded=recorded,
            waits=waits,
            elapsed_s=age_s,
            paused_s=paused_s,
            timeout_s=timeout_s,
        )
        self._tasks: dict[Attempt, asyncio.Task[None]] = {}
        self._rooms: dict[Attempt, asyncio.Future[None]] = {}
        self._pumping = False
        self._timer: asyncio.TimerHandle | None = None
        self._slice_ends = 0.0

    def deliver(self, inputs: Mapping[str, object]) -> None:
        """What the run starts with."""
        self.machine.start(inputs)

    def run_at_once(self) -> None:
        """Execute a run without effects as far as it goes without waiting; `ended` says whether that was to the end."""
        machine = self.machine
        until = machine.now + AT_ONCE_S
        more = True
        while more and machine.state == "running" and machine.now < until:
            more = machine.turn(until - machine.now)
            more = self._start_eager() or more
        self.ended = next((request for request in machine.requests if isinstance(request, Ended)), None)

    def go_on(self, inputs: Mapping[str, object] | None = None) -> None:
        """Execute it on the event loop, now that it is durable that there is such a run. inputs: if they are not delivered yet."""
        self.held = False
        if inputs is not None:
            self._ask(self.deliver, inputs)
        self._pump_soon()

    def durable(self, activations: list[Activation]) -> None:
        """What waited for these outcomes may happen."""
        for activation in activations:
            self._ask(self.machine.recorded, activation)
        self._pump_soon()

    @property
    def rests(self) -> bool:
        """Whether nothing is under way but waits, and all of it is durable."""
        if self.broken:
            return False
        try:
            return self.machine.rests and not (self.must_write or self.held or self._pumping)
        except Exception as error:  # noqa: BLE001 - as in `_ask`
            self.broke(error)
            return False

    @property
    def must_write(self) -> bool:
        """Whether something waits to be made durable at once."""
        return bool(self.outcomes or self.opened or self.closed or self.ended or self.handed_over)

    def completed(self, node: str, item: Item, outcome: Recorded) -> bool:
        """What was waited for has come; false for what is not waited for (any more)."""
        taken = bool(self._ask(self.machine.completed, node, item, outcome))
        if taken:
            self._pump_soon()
        return taken

    def pause(self, *, paused: bool) -> None:
        """Begin no further step, or go on, as the run's row says."""
        if paused == self.machine.paused:
            return
        self._ask(self.machine.pause if paused else self.machine.resume)
        self._pump_soon()

    def lie_down(self) -> None:
        """Do nothing more, whatever becomes due: the run is written down as it is, for whoever takes it up again."""
        self.held = True
        self._drop_work()

    def stop(self) -> None:
        """Leave the run: its row is somebody else's, or says that it has ended. Nothing more of it happens here."""
        self._ask(self.machine.cancel)
        self.machine.requests.clear()
        self._drop_work()

    def launched(self, attempt: Attempt, task: asyncio.Task[None]) -> None:
        """The task that works on an attempt, so that it can be stopped."""
        self._tasks[attempt] = task
        self.machine.history.started(attempt)

    def returned(self, attempt: Attempt, error: BaseException | None) -> None:
        """A task has ended."""
        self._tasks.pop(attempt, None)
        if error is None:
            self._ask(self.machine.finished, attempt)
        elif isinstance(error, Exception):
            self._ask(self.machine.failed, attempt, error)
        else:
            self._ask(self.machine.failed, attempt, StepFailed("step.cancelled", "it stopped by itself"))
        self._pump_soon()

    def broke(self, error: Exception) -> None:
        """The engine has raised what nobody foresaw: the run fails at once, with the outcomes that there are by then."""
        log.error(
            "run.broken",
            org_id=str(self.run.org_id),
            run_id=str(self.run.id),
            graph=self.run.graph,
            exc_info=error,
        )
        self.break_off(_BROKEN)

    def break_off(self, failure: Failure) -> None:
        """Have it fail, whatever its engine would say."""
        if not self.broken:
            self.broken = True
            self.outcomes += [each for each in self._take_requests() if isinstance(each, Record)]
            self.ended = self.handed_over = None
            self._end(self.machine.break_off(failure))
        self.owner.changed(self)

    # What steps may ask for (the engine's Host).

    def log(self, node: str) -> Logger:
        bound: Logger = log.bind(org_id=str(self.run.org_id), run_id=str(self.run.id), node=node)
        return bound

    def crashed(self, node: str, error: Exception) -> None:
        log.error(
            "step.crashed", org_id=str(self.run.org_id), run_id=str(self.run.id), node=node, exc_info=error
        )

    async def room(self, attempt: Attempt) -> None:
        if self.machine.wait_for_room(attempt):
            future = self._rooms[attempt] = asyncio.get_running_loop().create_future()
            self._pump_soon()
            await future
        elif time.monotonic() > self._slice_ends:
            # A step that always has room would keep the loop to itself.
            await asyncio.sleep(0)
        else:
            return
        self._slice_ends = time.monotonic() + SLICE_S

    def artifact(self, artifact_id: str) -> AsyncIterator[bytes]:
        return self.owner.read(self, artifact_id)

    @property
    def reach(self) -> Reach:
        return self.owner.reach(self)

    # Carrying out

    def _ask(self, engine: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """What the engine answers; a defect of it is this run's end, and nobody else's."""
        if self.broken:
            return None
        try:
            return engine(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - whatever it is, the run would stand where it is
            self.broke(error)
            return None

    def _pump_soon(self) -> None:
        self._pump_by(self.owner.turns.soon)

    def _pump_by(self, ask: Callable[[Turn], None]) -> None:
        if not self._pumping:
            self._pumping = True
            ask(self._pump)

    def _pump(self) -> None:
        self._pumping = False
        if self.held or self.broken:
            return
        try:
            self._give_turn()
        except Exception as error:  # noqa: BLE001 - as in `_ask`, which a run has no time for at each turn
            self.broke(error)

    def _give_turn(self) -> None:
        more = self.machine.turn(TURN_S)
        more = self._start_eager() or more
        for request in self._take_requests():
            self._carry_out(request)
        if self.machine.state == "running":
            if not more:
                self._set_timer()
            elif self.machine.next_due <= self.machine.now:
                self._wake()  # a run that always has something to compute would never hear of the time
            elif self.machine.now >= self.machine.turn_ends:
                self._pump_by(self.owner.turns.behind)
            else:
                self._pump_soon()
        self.owner.changed(self)

    def _carry_out(self, request: Request) -> None:
        match request:
            case Launch(attempt=attempt):
                if attempt.current:
                    self.owner.launch(self, attempt, _work_of(attempt))
            case Room(attempt=attempt):
                future = self._rooms.pop(attempt, None)
                if future is not None and not future.done():
                    future.set_result(None)
            case Abort(attempt=attempt):
                self._rooms.pop(attempt, None)
                if (task := self._tasks.pop(attempt, None)) is not None:
                    task.cancel()
            case Record():
                self.outcomes.append(request)
            case Open() | Close():
                self._wait(request)
            case HandOver() | Ended():
                self._end(request)

    def _end(self, request: HandOver | Ended) -> None:
        if isinstance(request, Ended):
            self.ended = request
        else:
            self.handed_over = request
        self._drop_work()

    def _wait(self, request: Open | Close) -> None:
        """What is opened or closed has not been written yet: one that takes the other back leaves nothing to write."""
        activation = request.activation
        if isinstance(request, Open):
            self.closed = [other for other in self.closed if other.place != activation.place]
            self.opened.append(request)
            return
        kept = [other for other in self.opened if other.activation is not activation]
        if len(kept) == len(self.opened):
            self.closed.append(activation)
        self.opened = kept

    def _start_eager(self) -> bool:
        """Run steps that wait for nobody right here; whether any came to an end."""
        eager: list[Attempt] = []
        for request in self._take_requests():
            if isinstance(request, Launch) and request.attempt.activation.node.stage.eager:
                eager.append(request.attempt)
            else:
                # At once: what was done already is not lost with a defect that shows in what follows.
                self.machine.requests.append(request)
        ended = False
        for attempt in eager:
            ended = self._try_eager(attempt) or ended
        return ended

    def _try_eager(self, attempt: Attempt) -> bool:
        if not attempt.current:
            return False
        self._slice_ends = time.monotonic() + SLICE_S
        try:
            rest = coroutines.start(_work_of(attempt))
        except Exception as error:  # noqa: BLE001 - whatever a step raises is the engine's to judge
            self.machine.failed(attempt, error)
            return True
        if rest is None:
            self.machine.finished(attempt)
            return True
        self.owner.launch(self, attempt, rest)
        return False

    def _take_requests(self) -> list[Request]:
        requests, self.machine.requests = self.machine.requests, []
        return requests

    def _set_timer(self) -> None:
        due = self.machine.next_due
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_later(max(0.0, due - time.monotonic()), self._wake)

    def _wake(self) -> None:
        self._ask(self.machine.wake)
        self._pump_soon()

    def _drop_work(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._rooms.clear()
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()


def _work_of(attempt: Attempt) -> Work:
    node = attempt.activation.node
    if node.collector is not None:
        return node.collector.finish()
    if node.stage.task is None:
        raise AssertionError("only tasks and collectors are launched")
    return node.stage.task(attempt, attempt.activation.inputs)
