"""What a trigger knows of each conversation: how many answers to agents follow each other, and a message that waits for silence.

Many processes may look at what waits; whoever takes one puts it off for a while, and its firing itself happens once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING
from uuid import UUID

from polis.proto import Refused
from polis.runtime.triggers.rows import Armed
from polis.service.rounds import rounds
from polis.telemetry import log, trace

if TYPE_CHECKING:
    from polis.db import Database, Transaction

POLL_S = 1.0
"""The longest sleep: another process may have written what is due sooner."""
APART_S = 600.0
"""Messages of agents that are farther apart do not follow each other."""
_HELD_AT_MOST = 10
"""A conversation that is never silent is answered after so many times the silence."""
_TAKEN_AT_ONCE = 64
_TAKEN_S = 5.0
_RETRY_S = 3.0


class Held(Armed, frozen=True):
    """A trigger, and a message that nothing has followed for as long as it asks. there: whether it may still fire."""

    conversation_id: UUID
    seq: int
    depth: int
    there: bool


Fire = Callable[[Held], Awaitable[None]]


async def follow(tx: Transaction, trigger: Armed, conversation_id: UUID, seq: int, *, person: bool) -> int:
    """How many messages of agents in a row the trigger has heard there, with this one. Hearing one again counts nothing."""
    depth: int = await tx.value(
        """
        insert into runtime.trigger_talks as k (org_id, trigger_id, conversation_id, heard_seq, in_a_row)
        values ($1, $2, $3, $4, $5)
        on conflict (org_id, trigger_id, conversation_id) do update set heard_at = clock_timestamp(),
            heard_seq = greatest(k.heard_seq, $4),
            in_a_row = case when k.heard_seq >= $4 then k.in_a_row when $5 = 0 then 0
                when k.heard_at < clock_timestamp() - make_interval(secs => $6) then 1
                else least(k.in_a_row + 1, 1000) end
        returning in_a_row
        """,
        trigger.org_id,
        trigger.id,
        conversation_id,
        seq,
        0 if person else 1,
        APART_S,
    )
    return depth


async def hold(tx: Transaction, trigger: Armed, conversation_id: UUID, seq: int, *, seconds: float) -> None:
    """Let a message wait until none has followed it for so long; a later one takes its place."""
    await tx.execute(
        """
        insert into runtime.trigger_talks as k (org_id, trigger_id, conversation_id, held_seq, held_since, due_at)
        values ($1, $2, $3, $4, clock_timestamp(), clock_timestamp() + make_interval(secs => $5))
        on conflict (org_id, trigger_id, conversation_id) do update set heard_at = clock_timestamp(),
            held_seq = greatest(k.held_seq, $4), held_since = coalesce(k.held_since, clock_timestamp()),
            due_at = least(clock_timestamp() + make_interval(secs => $5::float8),
                coalesce(k.held_since, clock_timestamp()) + make_interval(secs => $5::float8 * $6::float8))
        """,
        trigger.org_id,
        trigger.id,
        conversation_id,
        seq,
        seconds,
        float(_HELD_AT_MOST),
    )


class Talks:
    """Fires for messages that have waited long enough, for as long as the process lives."""

    def __init__(self, database: Database, fire: Fire) -> None:
        self._database = database
        self._fire = fire
        self.wake = asyncio.Event()

    async def run(self) -> None:
        await rounds("messages that wait", self._turn, every_s=POLL_S, wake=self.wake)

    async def _turn(self) -> float | None:
        """Fire for what is due; seconds until to look again."""
        async with self._database.across_orgs() as tx:
            taken = await _take(tx)
            ahead = await tx.value(
                """
                select extract(epoch from min(k.due_at) - clock_timestamp())::float8 from runtime.trigger_talks k
                where k.due_at is not null
                """
            )
        await asyncio.gather(*(self._settle(held) for held in taken))
        return None if ahead is None else float(ahead)

    async def _settle(self, held: Held) -> None:
        """One of them; whatever goes wrong with it, the others fire."""
        try:
            with trace.enter(trace.start()):
                if held.there:
                    await self._fire(held)
                await self._put(held, None)
        except Refused as refusal:
            log.warning("trigger.postponed", trigger_id=str(held.id), problem=refusal.problem.type)
            await self._put_off(held)
        except Exception as error:  # noqa: BLE001 - a defect of ours: it stays due, and is seen in the log
            log.error("trigger.broken", trigger_id=str(held.id), exc_info=error)

    async def _put_off(self, held: Held) -> None:
        try:
            await self._put(held, _RETRY_S)
        except Refused:
            log.debug("trigger.held", trigger_id=str(held.id))  # the time that it is taken for brings it back

    async def _put(self, held: Held, seconds: float | None) -> None:
        """Look at it again in so many seconds, or no more; a message that came meanwhile stays as it is."""
        async with self._database.across_orgs() as tx:
            await tx.execute(
                """
                update runtime.trigger_talks set due_at = clock_timestamp() + make_interval(secs => $5),
                    held_seq = case when $5::float8 is not null then held_seq end,
                    held_since = case when $5::float8 is not null then held_since end
                where org_id = $1 and trigger_id = $2 and conversation_id = $3 and held_seq = $4
                """,
                held.org_id,
                held.id,
                held.conversation_id,
                held.seq,
                seconds,
            )


async def _take(tx: Transaction) -> list[Held]:
    """Put off what is due, so that no other process looks at it."""
    return await tx.rows(
        Held,
        """
        with due as (
            select k.org_id, k.trigger_id, k.conversation_id from runtime.trigger_talks k
            where k.due_at <= clock_timestamp() order by k.due_at limit $1 for update skip locked
        )
        update runtime.trigger_talks k set due_at = clock_timestamp() + make_interval(secs => $2)
        from due join runtime.triggers t on t.org_id = due.org_id and t.id = due.trigger_id
        where k.org_id = due.org_id and k.trigger_id = due.trigger_id and k.conversation_id = due.conversation_id
        returning t.org_id, t.id, t.name, t.graph, t.environment, t.activated_by, t.scopes, t.acts_as, t.spec,
            k.conversation_id, k.held_seq as seq, k.in_a_row as depth,
            t.ended_at is null and t.paused_at is null and t.kind = 'message' as there
        """,
        _TAKEN_AT_ONCE,
        _TAKEN_S,
    )
