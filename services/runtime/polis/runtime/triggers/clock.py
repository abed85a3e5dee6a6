"""What is due by the database's clock: slots of schedules, and events that nothing has followed. Many processes may look.

Whoever finds something due puts it off for a while, so that no other sees it, and fires it; the commit of the firing
itself says which slot it was for, so being late with it, or two at a time, does no harm.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from polis.proto import Refused
from polis.proto.trigger import Schedule
from polis.runtime.triggers.marks import Occasion, Waiting
from polis.runtime.triggers.rows import Armed
from polis.runtime.triggers.slots import turn
from polis.service.rounds import rounds
from polis.telemetry import log, trace

if TYPE_CHECKING:
    from polis.db import Database, Transaction
    from polis.proto.trigger import TriggerSpec
    from polis.runtime.triggers.firing import Firing

POLL_S = 1.0
"""The longest sleep: another process may have written what is due sooner."""
_TAKEN_AT_ONCE = 64
_HELD_S = 5.0
"""For so long nobody else looks at what is being fired."""
_HELD_BY_OTHERS_S = 0.05
_RETRY_S = 3.0


class Due(Armed, frozen=True):
    """A trigger that is due, and what the database's clock says."""

    slot_at: datetime | None
    pending: bytes | None
    pending_id: str | None
    now: datetime


class Clock:
    """Fires what is due, for as long as the process lives."""

    def __init__(self, database: Database, firing: Firing) -> None:
        self._database = database
        self._firing = firing
        self.wake = firing.due

    async def run(self) -> None:
        await rounds("triggers that are due", self._turn, every_s=POLL_S, wake=self.wake)

    async def _turn(self) -> float | None:
        """Fire what is due; seconds until to look again."""
        async with self._database.across_orgs() as tx:
            ahead = await tx.value(
                """
                select extract(epoch from min(t.due_at) - clock_timestamp())::float8 from runtime.triggers t
                where t.due_at is not null
                """
            )
            if ahead is None or ahead > 0:
                return None if ahead is None else float(ahead)
            due = await _take(tx)
        if not due:  # others are at it
            return _HELD_BY_OTHERS_S
        await asyncio.gather(*(self._fire(each) for each in due))
        return 0.0

    async def _fire(self, due: Due) -> None:
        """One of them; whatever goes wrong with it, the others fire."""
        try:
            with trace.enter(trace.start()):
                if due.pending_id is not None and due.pending is not None:
                    held = msgspec.json.decode(due.pending, type=Waiting)
                    occasion = Occasion(due.pending_id, held.value, depth=held.depth, pending=True)
                    await self._firing.fire(due, occasion)
                elif due.slot_at is not None:
                    await self._fire_slot(due, due.on, due.slot_at)
        except Refused as refusal:
            log.warning("trigger.postponed", trigger_id=str(due.id), problem=refusal.problem.type)
            await self._put_off(due)
        except Exception as error:  # noqa: BLE001 - a defect of ours: it stays due, and is seen in the log
            log.error("trigger.broken", trigger_id=str(due.id), exc_info=error)

    async def _fire_slot(self, due: Due, spec: TriggerSpec, slot: datetime) -> None:
        if not isinstance(spec.on, Schedule):
            return
        taken = turn(spec.on, slot, due.now)
        occasion = Occasion(
            occurrence=iso(taken.fire or slot),
            value={"trigger": due.name, "at": iso(taken.fire or slot)},
            slot=slot,
            next=taken.next,
        )
        if taken.fire is None:
            await self._firing.skip(due, occasion, "trigger.missed", f"nobody was there at {iso(slot)}")
        else:
            await self._firing.fire(due, occasion)

    async def _put_off(self, due: Due) -> None:
        """Look at it again in a moment: what kept it from firing passes."""
        try:
            async with self._database.across_orgs() as tx:
                await tx.execute(
                    """
                    update runtime.triggers set due_at = clock_timestamp() + make_interval(secs => $3)
                    where org_id = $1 and id = $2 and due_at is not null
                        and slot_at is not distinct from $4 and pending_id is not distinct from $5
                    """,
                    due.org_id,
                    due.id,
                    _RETRY_S,
                    due.slot_at,
                    due.pending_id,
                )
        except Refused:
            log.debug("trigger.held", trigger_id=str(due.id))  # the time that it is held for brings it back


async def _take(tx: Transaction) -> list[Due]:
    """Put off what is due, so that no other process looks at it, and fire it."""
    return await tx.rows(
        Due,
        """
        with due as (
            select t.org_id, t.id from runtime.triggers t where t.due_at <= clock_timestamp()
            order by t.due_at limit $1 for update skip locked
        )
        update runtime.triggers t set due_at = clock_timestamp() + make_interval(secs => $2)
        from due where t.org_id = due.org_id and t.id = due.id
        returning t.org_id, t.id, t.name, t.graph, t.environment, t.activated_by, t.scopes, t.acts_as, t.spec, t.slot_at,
            t.pending, t.pending_id, clock_timestamp() as now
        """,
        _TAKEN_AT_ONCE,
        _HELD_S,
    )


def iso(moment: datetime) -> str:
    """A moment as an occurrence and as JSON: UTC, to the second where it is one."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
