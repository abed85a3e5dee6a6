"""One after the other: a message to an agent waits until the one before it in its conversation is answered.

Messages that wait are rows. Many processes may look; whoever takes a conversation puts it off for a while, and a firing itself
happens once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING
from uuid import UUID

from polis.bus import BusError
from polis.bus.follow import heard_up_to
from polis.proto import Refused
from polis.runtime.triggers.rows import Armed
from polis.service.rounds import rounds
from polis.telemetry import log, trace

if TYPE_CHECKING:
    from polis.db import Database, Transaction
    from polis.runtime.shell.executor import Executor
    from polis.service import Kernel

MOST_WAITING = 100
"""Messages of a conversation that wait for an agent; what is said beyond them is not answered."""
HOLDS_UP_S = 120.0
"""A run that takes longer to answer does not hold up what was said after it."""
POLL_S = 1.0
_ACKNOWLEDGED_S = 0.01
"""Within so long the event of a message that is to be answered is acknowledged."""
_IN_ORDER_S = 1.0
"""For so long it is waited for that what was told before has been heard."""
_LOOK_S = 0.02
_TAKEN_AT_ONCE = 64
_TAKEN_S = 5.0
_RETRY_S = 3.0
GIVEN_UP_S = 600.0
"""What has not been answered for so long and breaks once more is left out."""
_SOONEST_S, _LATEST_S = 0.1, 5.0
"""Between two looks whether a run that another process executes has ended: a quarter of what it was waited for."""


class Turn(Armed, frozen=True):
    """A conversation that a trigger answers, and what is to be answered next there, if anything.

    busy: a run is at work on what was said before. waited_s: for how long the next one waits.
    """

    conversation_id: UUID
    seq: int | None
    event_seq: int | None
    depth: int | None
    waited_s: float | None
    busy: bool
    there: bool


Answer = Callable[[Turn, int], Awaitable[UUID | None]]


async def wait(
    tx: Transaction, trigger: Armed, conversation_id: UUID, seq: int, *, event_seq: int, depth: int
) -> bool:
    """Have a message answered when it is its turn; once, however often it is heard. False when too many wait."""
    place = trigger.org_id, trigger.id, conversation_id
    written = await tx.value(
        """
        with there as (
            select count(*) as n from (
                select from runtime.trigger_said s
                where s.org_id = $1 and s.trigger_id = $2 and s.conversation_id = $3 and s.seq <> $4 limit $7) as s
        ), said as (
            insert into runtime.trigger_said (org_id, trigger_id, conversation_id, seq, event_seq, depth)
            select $1, $2, $3, $4, $5, $6 from there where n < $7 and not exists (
                select from runtime.firings f where f.org_id = $1 and f.trigger_id = $2 and f.occurrence = $8)
            on conflict do nothing
        )
        select n < $7 from there
        """,
        *place,
        seq,
        event_seq,
        depth,
        MOST_WAITING,
        f"{conversation_id}/{seq}",
    )
    await tx.execute(
        """
        insert into runtime.trigger_talks as k (org_id, trigger_id, conversation_id, turn_at)
        values ($1, $2, $3, clock_timestamp() + make_interval(secs => $4))
        on conflict (org_id, trigger_id, conversation_id) do update set heard_at = clock_timestamp(),
            turn_at = least(k.turn_at, excluded.turn_at)
        """,
        *place,
        _ACKNOWLEDGED_S,
    )
    return bool(written)


class Turns:
    """Has messages answered in their order, for as long as the process lives."""

    def __init__(self, kernel: Kernel, executor: Executor, answer: Answer) -> None:
        self._kernel = kernel
        self._executor = executor
        self._database: Database = kernel.database
        self._answer = answer
        self.wake = asyncio.Event()

    async def run(self) -> None:
        await rounds("messages to agents", self._turn, every_s=POLL_S, wake=self.wake)

    async def _turn(self) -> float | None:
        async with self._database.across_orgs() as tx:
            taken = await _take(tx)
        await asyncio.gather(*(self._settle(turn) for turn in taken))
        async with self._database.across_orgs() as tx:
            ahead = await tx.value(
                """
                select extract(epoch from min(k.turn_at) - clock_timestamp())::float8 from runtime.trigger_talks k
                where k.turn_at is not null
                """
            )
        return None if ahead is None else max(float(ahead), _LOOK_S if ahead <= 0 else 0.0)

    async def _settle(self, turn: Turn) -> None:
        """One of them; whatever goes wrong with it, the others have their turn."""
        try:
            with trace.enter(trace.start()):
                await self._take_turn(turn)
        except Refused as refusal:
            log.warning("trigger.postponed", trigger_id=str(turn.id), problem=refusal.problem.type)
            await self._put_off(turn)
        except Exception as error:  # noqa: BLE001 - a defect of ours: it stays due, and is seen in the log
            log.error("trigger.broken", trigger_id=str(turn.id), exc_info=error)
            if (turn.waited_s or 0.0) > GIVEN_UP_S:
                await self._leave_out(turn)

    async def _take_turn(self, turn: Turn) -> None:
        if turn.seq is None or not turn.there:
            await self._done(turn, None)
        elif turn.busy:
            await self._look_again(turn, min(max((turn.waited_s or 0.0) / 4, _SOONEST_S), _LATEST_S))
        else:
            await self._in_order(turn)
            if await self._is_next(turn):
                run_id = await self._answer(turn, turn.seq)
                await self._done(turn, run_id)
                if run_id is not None and self._executor.find(run_id) is not None:
                    self._executor.start(self._follow(turn, run_id), name="answer")
            else:
                await self._look_again(turn, 0.0)

    async def _follow(self, turn: Turn, run_id: UUID) -> None:
        """Have what waits for a run of this process looked at when that has ended."""
        await self._executor.ended(run_id)
        try:
            async with self._database.across_orgs() as tx:
                waited = await tx.execute(
                    """
                    update runtime.trigger_talks set turn_at = clock_timestamp()
                    where org_id = $1 and trigger_id = $2 and conversation_id = $3 and run_id = $4
                        and turn_at > clock_timestamp()
                    """,
                    turn.org_id,
                    turn.id,
                    turn.conversation_id,
                    run_id,
                )
        except Refused as refusal:
            log.debug("trigger.unfollowed", trigger_id=str(turn.id), problem=refusal.problem.type)
        else:
            if waited:
                self.wake.set()

    async def _in_order(self, turn: Turn) -> None:
        """Wait until what was told before it has been heard, by whichever process; no longer than a moment."""
        loop = asyncio.get_running_loop()
        until = loop.time() + _IN_ORDER_S - (turn.waited_s or 0.0)
        try:
            while turn.event_seq and loop.time() < until:
                if await heard_up_to(self._kernel.bus, "messaging", self._kernel.service) >= turn.event_seq:
                    return
                await asyncio.sleep(_LOOK_S)
        except BusError as error:
            log.info("turn.unordered", trigger_id=str(turn.id), error=repr(error))

    async def _is_next(self, turn: Turn) -> bool:
        """Whether nothing that was said before has been heard since it was looked at."""
        earlier = await self._database.tenant(turn.org_id).value(
            """
            select true from runtime.trigger_said s
            where s.org_id = $1 and s.trigger_id = $2 and s.conversation_id = $3 and s.seq < $4 limit 1
            """,
            turn.org_id,
            turn.id,
            turn.conversation_id,
            turn.seq,
        )
        return earlier is None

    async def _done(self, turn: Turn, run_id: UUID | None) -> None:
        """What had its turn is settled; what comes next is looked at in a moment, or when it is said."""
        async with self._database.across_orgs() as tx:
            # Whoever adds a message holds the row until it is there: what is read after this lock is all of it.
            await tx.execute(
                "select from runtime.trigger_talks k where k.org_id = $1 and k.trigger_id = $2"
                " and k.conversation_id = $3 for update",
                turn.org_id,
                turn.id,
                turn.conversation_id,
            )
            await tx.execute(
                """
                delete from runtime.trigger_said
                where org_id = $1 and trigger_id = $2 and conversation_id = $3 and (seq = $4 or not $5)
                """,
                turn.org_id,
                turn.id,
                turn.conversation_id,
                turn.seq,
                turn.there,
            )
            await tx.execute(
                """
                update runtime.trigger_talks k set run_id = coalesce($4, k.run_id), turn_at = case when exists (
                    select from runtime.trigger_said s where s.org_id = $1 and s.trigger_id = $2
                        and s.conversation_id = $3
                ) then clock_timestamp() + make_interval(secs => $5) end
                where k.org_id = $1 and k.trigger_id = $2 and k.conversation_id = $3
                """,
                turn.org_id,
                turn.id,
                turn.conversation_id,
                run_id,
                0.0 if run_id is None else _SOONEST_S,
            )

    async def _look_again(self, turn: Turn, seconds: float) -> None:
        async with self._database.across_orgs() as tx:
            await tx.execute(
                """
                update runtime.trigger_talks set turn_at = clock_timestamp() + make_interval(secs => $4)
                where org_id = $1 and trigger_id = $2 and conversation_id = $3
                """,
                turn.org_id,
                turn.id,
                turn.conversation_id,
                seconds,
            )

    async def _leave_out(self, turn: Turn) -> None:
        """Let those behind it have their turn."""
        try:
            await self._done(turn, None)
        except Refused:
            log.debug("trigger.held", trigger_id=str(turn.id))  # as below

    async def _put_off(self, turn: Turn) -> None:
        try:
            await self._look_again(turn, _RETRY_S)
        except Refused:
            log.debug("trigger.held", trigger_id=str(turn.id))  # the time that it is taken for brings it back


async def _take(tx: Transaction) -> list[Turn]:
    """Put off what is to be looked at, so that no other process does.

    Whoever waits for people, signals or a time holds nobody up: only what is at work, here or outside, and not for too long.
    """
    return await tx.rows(
        Turn,
        """
        with due as (
            select k.org_id, k.trigger_id, k.conversation_id from runtime.trigger_talks k
            where k.turn_at <= clock_timestamp() order by k.turn_at limit $1 for update skip locked
        ), taken as (
            update runtime.trigger_talks k set turn_at = clock_timestamp() + make_interval(secs => $2)
            from due where k.org_id = due.org_id and k.trigger_id = due.trigger_id
                and k.conversation_id = due.conversation_id
            returning k.org_id, k.trigger_id, k.conversation_id, k.run_id
        )
        select t.org_id, t.id, t.name, t.graph, t.environment, t.activated_by, t.scopes, t.acts_as, t.spec,
            k.conversation_id, s.seq, s.event_seq, s.depth,
            extract(epoch from clock_timestamp() - s.heard_at)::float8 as waited_s,
            t.ended_at is null and t.paused_at is null and t.kind = 'message' as there,
            -- `exists` could be answered from a hash of all runs, or all waits.
            coalesce((
                select true from runtime.runs r where r.org_id = k.org_id and r.id = k.run_id and r.ended_at is null
                    and r.created_at > clock_timestamp() - make_interval(secs => $3)
                    and (r.state not in ('waiting', 'paused') or (
                        select true from runtime.waits w where w.org_id = r.org_id and w.run_id = r.id
                            and w.kind in ('job', 'run') and w.closed_at is null limit 1))
            ), false) as busy
        from taken k join runtime.triggers t on t.org_id = k.org_id and t.id = k.trigger_id
        left join lateral (
            select s.seq, s.event_seq, s.depth, s.heard_at from runtime.trigger_said s
            where s.org_id = k.org_id and s.trigger_id = k.trigger_id and s.conversation_id = k.conversation_id
            order by s.seq limit 1
        ) s on true
        """,
        _TAKEN_AT_ONCE,
        _TAKEN_S,
        HOLDS_UP_S,
    )
