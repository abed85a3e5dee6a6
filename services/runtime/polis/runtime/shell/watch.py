"""Being one of the processes that share the work: seen by the others, told of what was lost, taking over what is free."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import msgspec

from polis.db import lasting
from polis.graph import GraphFaults
from polis.proto import Refused
from polis.proto.runtime import RunError, Step
from polis.runtime import metrics
from polis.runtime.runs import store
from polis.runtime.runs.lines import number
from polis.runtime.shell import leases
from polis.runtime.shell.breaking import broken_off
from polis.runtime.shell.execution import Execution
from polis.runtime.shell.progress import Progress
from polis.runtime.shell.records import Flush, decode_steps
from polis.runtime.waits.rows import places
from polis.service.rounds import rounds
from polis.telemetry import log

if TYPE_CHECKING:
    from polis.db import Database
    from polis.runtime.config import Config
    from polis.runtime.shell.executor import Executor
    from polis.runtime.shell.records import Claimed

BEATS_PER_LEASE = 4
_CLAIMED_AT_ONCE = 100
_RESUMED_AT_ONCE = 3
"""Each takes a connection, and waits for six answers of the database."""
_MOST_OWNERS = 200
"""A run that takes its processes down with it must not take all of them down for ever."""
_UNREAD_OWNERS = 30
"""About a minute: in a rolling upgrade, what an older process cannot read is taken up by a newer one meanwhile."""
_UNREADABLE = "what is kept of it cannot be read, so it cannot go on; the id of the run finds in the record what that is"


class Watch:
    """The part of a process in the common work. `name` is what it is known by, also after a restart."""

    def __init__(self, config: Config, database: Database, executor: Executor) -> None:
        self.name = config.instance or _name(config, executor)
        self._lease_s = config.lease_s
        self._database = database
        self._executor = executor

    async def begin(self) -> None:
        """Be one of them, and take over at once what the process of this name before has left."""
        await leases.register(self._database, self.name, self._executor.incarnation)
        await self._claim()

    async def keep(self) -> None:
        """Be seen, and take over what is free, for as long as the process lives."""
        every_s = self._lease_s / BEATS_PER_LEASE
        loop_time = asyncio.get_running_loop().time
        beat_at = loop_time() + every_s

        async def turn() -> float:
            nonlocal beat_at
            now = loop_time()
            if now >= beat_at:
                await self._beat()
                beat_at = now + every_s
            await self._claim()
            return beat_at - loop_time()

        await rounds("watch", turn, every_s=every_s, wake=self._executor.vacancy)

    async def end(self) -> None:
        """Leave what is unfinished to the others, at once; while the database is away they see it by themselves."""
        self._executor.drop_all()
        try:
            await leases.leave(self._database, self._executor.incarnation)
        except Refused as refusal:
            log.warning("watch.not_left", problem=refusal.problem.type)

    async def _beat(self) -> None:
        executor = self._executor
        counts, dead = await leases.beat(self._database, executor.incarnation, lease_s=self._lease_s)
        if dead:
            await leases.end_sessions(self._database, dead)
        await executor.peers.look([run_id for _, run_id in executor.active])
        if not counts:
            # It was away for so long that the others have forgotten it, or another process has its name.
            log.warning("instance.forgotten", instance=self.name)
            executor.begin_anew()
            if not await leases.rejoin(self._database, self.name, executor.incarnation):
                self.name = _name_of_chance(executor)
                await leases.rejoin(self._database, self.name, executor.incarnation)

    async def _claim(self) -> None:
        limit = min(self._executor.room, _CLAIMED_AT_ONCE)
        if not limit:
            return
        claimed = await leases.claim(
            self._database,
            self._executor.incarnation,
            active=[run_id for _, run_id in self._executor.active],
            lease_s=self._lease_s,
            limit=limit,
        )
        self._executor.more_waits = len(claimed) == limit
        for each in claimed:
            metrics.runs_claimed.labels(each.run.state).inc()
            log.info("run.claimed", run_id=str(each.run.id), state=each.run.state, epoch=each.epoch)
        for start in range(0, len(claimed), _RESUMED_AT_ONCE):
            group = claimed[start : start + _RESUMED_AT_ONCE]
            outcomes = await asyncio.gather(*map(self._resume, group), return_exceptions=True)
            for each, failed in zip(group, outcomes, strict=True):
                if isinstance(failed, Refused) or not isinstance(failed, Exception | None):
                    raise failed
                if failed is not None:
                    await self._not_resumed(each, failed)

    async def _not_resumed(self, claimed: Claimed, error: Exception) -> None:
        """A defect of ours, or of what is stored of it: the others go on. It is claimed anew, which is bounded."""
        log.error(
            "run.not_resumed",
            org_id=str(claimed.run.org_id),
            run_id=str(claimed.run.id),
            lost=claimed.lost,
            exc_info=error,
        )
        if lasting(error) and claimed.lost >= _UNREAD_OWNERS:
            await self._fail(claimed, "run.unreadable", _UNREADABLE)

    async def _resume(self, claimed: Claimed) -> None:
        """Go on from the journal: recorded outcomes are replayed, pure steps computed again."""
        run = claimed.run
        self._executor.publish(run, (leases.transition(claimed),))
        if claimed.lost > _MOST_OWNERS:
            await self._fail(
                claimed, "run.poison", f"{claimed.lost} processes have begun it and none has ended it"
            )
            return
        async with self._database.transaction([run.org_id]) as tx:
            # In this order: what comes in between is among the outcomes, and only wakes the run once more.
            counts = await store.counts(tx, run.id)
            waits = await places(tx, run.id)
            recorded = await store.outcomes(tx, run.id)
            stored = await store.program(tx, claimed.program)
        try:
            program = await self._executor.programs.stored(claimed.program, stored)
        except GraphFaults as error:
            await self._fail(claimed, "graph.invalid", str(error))
            return
        execution = Execution(
            run,
            program,
            self._executor,
            age_s=claimed.age_s,
            paused_s=claimed.paused_s,
            timeout_s=claimed.timeout_s,
            recorded=recorded,
            waits=waits,
        )
        execution.machine.recall(decode_steps(claimed.steps))
        execution.pause(paused=run.state == "paused")
        execution.machine.history.recall(claimed.attempts)
        said = number(counts.last_line)
        progress = Progress(run, epoch=claimed.epoch, seq=claimed.seq, heard=counts.completions, said=said)
        self._executor.resume(execution, progress, msgspec.json.decode(claimed.input))

    async def _fail(self, claimed: Claimed, kind: str, why: str) -> None:
        """A run that no process of this version can bring to its end."""
        at_ms = leases.transition(claimed).at_ms
        error = RunError("", kind, why[:2000])
        ended = msgspec.structs.replace(
            claimed.run, state="failed", error=error, ended_at=leases.now_of(claimed)
        )
        steps, transitions = broken_off(_steps(claimed), claimed.seq, at_ms, "failed", error)
        flush = Flush(ended, claimed.epoch, steps, transitions, waits=True)
        try:
            own = (await self._executor.journal.flush(flush)).own
        except Refused:
            raise
        except Exception as refused:  # noqa: BLE001 - the others go on
            log.error("run.unwritable", run_id=str(ended.id), exc_info=refused)
            return
        if own:
            self._executor.publish(ended, transitions)


def _steps(claimed: Claimed) -> tuple[Step, ...]:
    """What was told of them, if that can still be read."""
    try:
        return decode_steps(claimed.steps)
    except msgspec.MsgspecError:
        return ()


def _name(config: Config, executor: Executor) -> str:
    return f"{socket.gethostname()}:{config.port}" if config.port else _name_of_chance(executor)


def _name_of_chance(executor: Executor) -> str:
    return f"{socket.gethostname()}/{executor.incarnation}"
