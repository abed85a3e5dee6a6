"""All runs that this process executes: accepted, written as they go, taken over from others, and given up again."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Mapping
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from polis.bus import Disconnected
from polis.db import lasting, new_id
from polis.proto import Refused
from polis.proto.runtime import RUN_LIVE, LiveTransitions, LogLine, Run, Step, Transition
from polis.runtime import metrics
from polis.runtime.shell import ended as told
from polis.runtime.shell.artifacts import Artifacts
from polis.runtime.shell.execution import Execution
from polis.runtime.shell.journal import Journal
from polis.runtime.shell.live import Live
from polis.runtime.shell.peers import Peers
from polis.runtime.shell.programs import Programs
from polis.runtime.shell.progress import PROGRESS_S, Progress, first, over
from polis.runtime.shell.reaching import Reaching
from polis.runtime.shell.records import Admission, Flush, ended
from polis.runtime.shell.resting import Resting
from polis.runtime.shell.tokens import Tokens
from polis.runtime.shell.turns import Turns
from polis.runtime.waits import kinds
from polis.runtime.waits.turn import Turn
from polis.service.word import Word
from polis.telemetry import current, log

if TYPE_CHECKING:
    from polis.runtime.config import Config
    from polis.runtime.engine.activation import Attempt
    from polis.runtime.engine.program import Program
    from polis.runtime.reach import Reach
    from polis.runtime.shell.execution import Work
    from polis.runtime.shell.programs import Bound
    from polis.service import Kernel
    from polis.service.tasks import Tasks

_RETRY_S = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Between attempts to write while the database cannot be reached."""
_LINES = 256
"""Of the lines that steps say between two commits the last ones are told live: so many, and so many in one message."""
_LINES_AT_ONCE = 32


class Started(msgspec.Struct, frozen=True):
    """A run that is to be accepted: its record, and what executes it from then on, if that is anything."""

    admission: Admission
    live: Live | None
    program: Program | None = None

    @property
    def run(self) -> Run:
        return self.admission.run


class Executor:
    """Executes runs. It waits for none of them: what becomes of a run is read from its row.

    more_waits: whether runs are known to wait in the queue. vacancy: set when one of them could be taken.
    """

    def __init__(self, config: Config, kernel: Kernel, tasks: Tasks) -> None:
        self.programs = Programs()
        self.turns = Turns()
        self.incarnation = new_id()
        self.journal = Journal(kernel.database, self.incarnation)
        self.peers = Peers(kernel, self)
        self.turn = Turn(kernel.database, self.peers)
        self.vacancy = asyncio.Event()
        self._work = Word(kernel, "work", lambda _: self._take_work())
        self.more_waits = False
        self._config = config
        self._kernel = kernel
        self._tasks = tasks
        tokens = Tokens(kernel)
        self._artifacts = Artifacts(kernel, tokens, config.downloads)
        self.reaching = Reaching(config, kernel, tokens)
        self._runs: dict[UUID, Live] = {}
        self._resting = Resting(self)
        self._at_work = 0
        self._waiting: deque[tuple[Execution, Attempt, Work]] = deque()

    @property
    def room(self) -> int:
        """How many more runs may be executed now."""
        return max(0, self._config.runs_at_once - len(self._runs))

    @property
    def active(self) -> list[tuple[UUID, UUID]]:
        """Org and id of every run that is executed here."""
        return [(live.execution.run.org_id, run_id) for run_id, live in self._runs.items()]

    def find(self, run_id: UUID) -> Live | None:
        """A run that is executed here."""
        return self._runs.get(run_id)

    def look_for_work(self) -> None:
        """Have runs taken up that nobody executes: here if there is room for one, else elsewhere."""
        if self.room:
            self._take_work()
        else:
            self.offer_work()

    def offer_work(self) -> None:
        """There are runs that nobody executes; whoever has room is to take them up."""
        self._work.tell()

    def _take_work(self) -> None:
        self.more_waits = True
        if self.room:
            self.vacancy.set()

    def start(self, work: Coroutine[object, object, None], *, name: str) -> None:
        """Do something in a task that ends with this process."""
        self._tasks.start(work, name=name)

    # Accepting

    def prepare(self, run: Run, bound: Bound, inputs: Mapping[str, object]) -> Started:
        """What is to be written of a new run. One that is quick and without effects has been executed by then."""
        if not self.room:
            return self.queue(run, bound, inputs)
        run = msgspec.structs.replace(run, state="running", started_at=run.created_at)
        if bound.straight is not None and (done := bound.straight.run(inputs)) is not None:
            run, transitions = over(run, done)
            admission = self._admission(run, bound, inputs, done.steps, transitions, output=done.output)
            return Started(admission, None, bound.program)
        execution = Execution(run, bound.program, self, timeout_s=bound.timeout_s)
        progress = Progress(run, epoch=1, seq=1)
        transitions = first(run)
        execution.deliver(inputs)
        if bound.program.quick:
            execution.run_at_once()
            transitions += progress.transitions(execution, execution.machine.changes())
        ended_ = execution.ended
        output = None if ended_ is None else ended_.output
        steps = execution.machine.steps()
        attempts = None if ended_ is None else execution.machine.history.written()
        admission = self._admission(
            progress.run, bound, inputs, steps, transitions, output=output, attempts=attempts
        )
        return Started(admission, Live(execution, progress) if ended_ is None else None, bound.program)

    def queue(self, run: Run, bound: Bound, inputs: Mapping[str, object]) -> Started:
        """What is to be written of a new run that waits until somebody claims it."""
        run = msgspec.structs.replace(run, state="queued")
        waiting = Execution(run, bound.program, self)
        return Started(self._admission(run, bound, inputs, waiting.machine.steps(), first(run)), None)

    def admitted(self, started: Started) -> None:
        """The run is durable: go on with it."""
        run, live = started.run, started.live
        if started.admission.content is not None:
            self.programs.mark_stored(run.org_id, started.admission.program)
        if live is not None:
            self._begin(live)
            self.publish(run, started.admission.transitions)
        elif ended(run.state):
            metrics.runs_ended.labels(run.state).inc()
            told.measure(started.admission.steps, {})
            if started.program is not None:
                told.export(run, started.program, started.admission.steps, current())
        else:
            self.look_for_work()

    def refused(self, started: Started) -> None:
        """The run is not accepted: nothing of it goes on."""
        if started.live is not None:
            started.live.stop()

    def resume(self, execution: Execution, progress: Progress, inputs: Mapping[str, object]) -> None:
        """Execute a run that was taken over."""
        self.drop(execution.run.id)
        self._begin(Live(execution, progress), inputs)

    async def ended(self, run_id: UUID) -> None:
        """Return when a run is not executed here any more: it has ended, or was lost."""
        live = self._runs.get(run_id)
        if live is not None:
            await live.over.wait()

    def drop(self, run_id: UUID) -> None:
        """Leave a run: it is another process's, or has been ended from outside."""
        live = self._runs.pop(run_id, None)
        if live is not None:
            live.stop()
            self._left()

    def cancelled(self, run: Run, transitions: tuple[Transition, ...]) -> None:
        """A run was ended from outside: stop it here and elsewhere."""
        if run.ended_at is not None:
            self.drop(run.id)
        # One that is being undone may have been taken up again by now, also here: its row says whose it is.
        self.peers.tell([run.id])
        self.publish(run, transitions)
        if run.ended_at is None:
            self.look_for_work()

    def drop_all(self) -> None:
        for run_id in list(self._runs):
            self.drop(run_id)

    def begin_anew(self) -> None:
        """Leave everything: this process counts as another one from now on."""
        self.drop_all()
        self.incarnation = new_id()
        self.journal.owner = self.incarnation

    def publish(self, run: Run, transitions: tuple[Transition, ...], lines: tuple[LogLine, ...] = ()) -> None:
        """Tell whoever watches a run, once it is in the journal. Lossy: they catch up from there."""
        lines = lines[-_LINES:]
        while len(lines) > _LINES_AT_ONCE:
            self._tell(run, LiveTransitions((), lines[:_LINES_AT_ONCE]))
            lines = lines[_LINES_AT_ONCE:]
        if transitions or lines:
            self._tell(run, LiveTransitions(transitions, lines))

    def _tell(self, run: Run, told: LiveTransitions) -> None:
        try:
            self._kernel.bus.publish(RUN_LIVE.subject(run.org_id, run.id), msgspec.json.encode(told))
        except Disconnected:
            log.debug("run.unheard", run_id=str(run.id))

    # What executions ask for (their Owner).

    def launch(self, execution: Execution, attempt: Attempt, work: Work) -> None:
        if self._at_work >= self._config.tasks_at_once:
            self._waiting.append((execution, attempt, work))
            return
        self._at_work += 1
        task = self._tasks.start(_perform(execution, attempt, work), name=attempt.key)
        task.add_done_callback(lambda task: self._performed(execution, attempt, work, task))
        execution.launched(attempt, task)

    def read(self, execution: Execution, artifact_id: str) -> AsyncIterator[bytes]:
        return self._artifacts.read(execution.run, execution.program, artifact_id)

    def reach(self, execution: Execution) -> Reach:
        return self.reaching.of(execution.run, execution.program, self.incarnation)

    def changed(self, execution: Execution) -> None:
        live = self._runs.get(execution.run.id)
        if live is None or live.execution is not execution or live.flushing:
            return
        if execution.must_write:
            self._flush_now(live)
        elif live.timer is None:
            live.timer = asyncio.get_running_loop().call_later(PROGRESS_S, self._flush_now, live)
        self._resting.consider(live)

    # Writing

    def _admission(
        self,
        run: Run,
        bound: Bound,
        inputs: Mapping[str, object],
        steps: tuple[Step, ...],
        transitions: tuple[Transition, ...],
        *,
        output: bytes | None = None,
        attempts: bytes | None = None,
    ) -> Admission:
        stored = self.programs.is_stored(run.org_id, bound.digest)
        return Admission(
            run=run,
            program=bound.digest,
            content=None if stored else bound.content,
            input=msgspec.json.encode(inputs),
            steps=steps,
            transitions=transitions,
            owner=self.incarnation if run.state == "running" else None,
            output=output,
            attempts=attempts,
            timeout_s=bound.timeout_s,
        )

    def _begin(self, live: Live, inputs: Mapping[str, object] | None = None) -> None:
        self._runs[live.execution.run.id] = live
        metrics.runs_active.set(len(self._runs))
        live.execution.go_on(inputs)

    def _flush_now(self, live: Live) -> None:
        if live.timer is not None:
            live.timer.cancel()
            live.timer = None
        if not live.flushing:
            live.flushing = True
            self._tasks.start(self._flush(live), name="flush")

    async def _flush(self, live: Live) -> None:
        """Write what has happened, and what happens meanwhile, until only progress is left to be told."""
        run_id = live.execution.run.id
        try:
            while (
                self._runs.get(run_id) is live and (taken := live.progress.flush(live.execution)) is not None
            ):
                flush, activations = taken
                if not await self.write(live, flush):
                    return
                live.execution.durable(activations)
                self._opened(live, flush)
                execution = live.execution
                if not execution.must_write:
                    return
        finally:
            live.flushing = False
            self._resting.consider(live)

    def _opened(self, live: Live, flush: Flush) -> None:
        """Waits are open. One that was open before, or whose kind knows the outcome, may be closed again by now."""
        if flush.opened:
            self.turn.opened(flush.opened)
            if live.progress.epoch > 1 or any(kinds.may_be_closed(wait.kind) for wait in flush.opened):
                self.peers.hear([flush.run.id])

    async def write(self, live: Live, flush: Flush) -> bool:
        """Write it, or that the run has failed if it never can be; whether the run goes on here."""
        written = await self._write(live, flush)
        if written is None:
            self.lose(live)
            return False
        self.publish(written.run, written.transitions, written.lines)
        if ended(written.run.state):
            self._end(live, written)
            return False
        if written.rest is None:
            return True
        if self._runs.get(written.run.id) is live:
            self.drop(written.run.id)
        if live.stirred or live.execution.handed_over is not None:
            self.look_for_work()
        return False

    async def _write(self, live: Live, flush: Flush) -> Flush | None:
        """What is written by now, however long the database is away; None when the run is not this process's any more."""
        attempt, unwritten = 0, flush
        while self._runs.get(flush.run.id) is live:
            try:
                written = await self.journal.flush(unwritten)
            except Exception as error:  # noqa: BLE001 - whatever it is, the run would stand where it is
                instead = self._instead(live, unwritten, error, attempt)
                if instead is None:
                    return None
                if instead is unwritten:
                    await asyncio.sleep(_RETRY_S[min(attempt, len(_RETRY_S) - 1)])
                unwritten = instead
                attempt += 1
            else:
                if written.paused and not live.execution.machine.paused:
                    live.pause(paused=True)  # before anything begins that waited for this
                    self.peers.hear([flush.run.id])
                return unwritten if written.own else None
        return None

    def _instead(self, live: Live, flush: Flush, error: Exception, attempt: int) -> Flush | None:
        """What is written next when this could not be; None: the run is begun anew from its journal."""
        if isinstance(error, Refused) and not lasting(error):
            log.warning(
                "run.unwritten", run_id=str(flush.run.id), problem=error.problem.type, attempt=attempt
            )
            return flush
        log.error("run.unwritable", org_id=str(flush.org_id), run_id=str(flush.run.id), exc_info=error)
        return live.progress.instead(live.execution, flush) if lasting(error) else None

    def _end(self, live: Live, flush: Flush) -> None:
        run, machine = flush.run, live.execution.machine
        self.drop(run.id)  # before anything of it is looked at once more
        metrics.runs_ended.labels(run.state).inc()
        log.info("run.ended", org_id=str(run.org_id), run_id=str(run.id), graph=run.graph, state=run.state)
        told.measure(flush.steps or (), machine.history.took())
        told.export(run, live.execution.program, flush.steps or (), live.execution.starter)

    def lose(self, live: Live) -> None:
        run = live.execution.run
        if self._runs.get(run.id) is live:
            log.info("run.lost", org_id=str(run.org_id), run_id=str(run.id))
            self.drop(run.id)

    def _left(self) -> None:
        metrics.runs_active.set(len(self._runs))
        if self.more_waits and self.room:
            self.vacancy.set()

    def _performed(
        self, execution: Execution, attempt: Attempt, work: Work, task: asyncio.Task[None]
    ) -> None:
        self._at_work -= 1
        if task.cancelled():
            work.close()
            execution.returned(attempt, asyncio.CancelledError())
        while self._waiting and self._at_work < self._config.tasks_at_once:
            waiting = self._waiting.popleft()
            if waiting[1].current:
                self.launch(*waiting)
            else:
                waiting[2].close()


async def _perform(execution: Execution, attempt: Attempt, work: Work) -> None:
    try:
        await work
    except Exception as error:  # noqa: BLE001 - whatever a step raises is the engine's to judge
        execution.returned(attempt, error)
    else:
        execution.returned(attempt, None)
