"""What is written of a trigger: that it fired, was refused, left something out, is paused, waits for silence.

A firing commits with the run that it starts, and only while the trigger is effective and the occasion is still open.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.proto.runtime import WhyNot

if TYPE_CHECKING:
    from polis.db import Transaction
    from polis.runtime.triggers.rows import Armed

_MAX_MESSAGE = 500
_DEBOUNCE_AT_MOST = 10
"""An event that is followed again and again fires after so many times the debounce at the latest."""


class Occasion(Struct, frozen=True):
    """What a trigger fires for, and what has to hold still when it does.

    occurrence: tells it apart from every other of the trigger. depth: runs that led to it. slot, next: the slot of a
    schedule, and the one behind it. pending: whether it is the debounced event that waits. throttle_s: since the last one.
    """

    occurrence: str
    value: object = None
    depth: int | None = None
    slot: datetime | None = None
    next: datetime | None = None
    pending: bool = False
    throttle_s: float | None = None


class Waiting(Struct, frozen=True):
    """What an event that waits for silence fires with."""

    value: object
    depth: int | None = None


async def first_time(tx: Transaction, trigger: Armed, occurrence: str, run_id: UUID) -> bool:
    """Remember what a trigger fires for; false when it has fired for it."""
    inserted = await tx.execute(
        """
        insert into runtime.firings (org_id, trigger_id, occurrence, run_id) values ($1, $2, $3, $4)
        on conflict do nothing
        """,
        trigger.org_id,
        trigger.id,
        occurrence,
        run_id,
    )
    return inserted == 1


async def fired(tx: Transaction, trigger: Armed, occasion: Occasion, run_id: UUID) -> bool:
    """Write that it fired, and move on to its next slot; false when the occasion is not open any more."""
    touched = await tx.execute(
        """
        update runtime.triggers set fired_at = clock_timestamp(), fired = fired + 1, last_run_id = $3,
            last_occurrence = $4, error = null,
            slot_at = case when $5::timestamptz is null then slot_at else $6 end,
            due_at = case when $5::timestamptz is null and not $7 then due_at else $6 end,
            pending = case when $7 then null else pending end,
            pending_id = case when $7 then null else pending_id end,
            pending_seq = case when $7 then null else pending_seq end,
            pending_since = case when $7 then null else pending_since end
        where org_id = $1 and id = $2 and ended_at is null and paused_at is null
            and ($5::timestamptz is null or slot_at = $5) and (not $7 or pending_id = $4)
            and ($8::float8 is null or fired_at is null or fired_at <= clock_timestamp() - make_interval(secs => $8))
        """,
        trigger.org_id,
        trigger.id,
        run_id,
        occasion.occurrence,
        occasion.slot,
        occasion.next,
        occasion.pending,
        occasion.throttle_s,
    )
    return touched == 1


async def fired_by_hand(tx: Transaction, trigger: Armed, run_id: UUID, occurrence: str) -> None:
    await tx.execute(
        """
        update runtime.triggers set fired_at = clock_timestamp(), fired = fired + 1, last_run_id = $3,
            last_occurrence = $4
        where org_id = $1 and id = $2
        """,
        trigger.org_id,
        trigger.id,
        run_id,
        occurrence,
    )


async def name_run(
    tx: Transaction, trigger: Armed, run_id: UUID, occurrence: str, depth: int | None = None
) -> None:
    """Write into a run what started it."""
    await tx.execute(
        "update runtime.runs set trigger_id = $3, occurrence = $4, chain = $5 where org_id = $1 and id = $2",
        trigger.org_id,
        run_id,
        trigger.id,
        occurrence,
        depth,
    )


async def not_fired(
    tx: Transaction, trigger: Armed, occasion: Occasion, why: WhyNot | None, *, refused: bool
) -> None:
    """Write why an occasion came to nothing, and move on to the next slot. refused: it was to start a run."""
    await tx.execute(
        """
        update runtime.triggers set refused = refused + $3, skipped = skipped + 1 - $3, error = coalesce($4, error),
            slot_at = case when $5::timestamptz is null then slot_at else $6 end,
            due_at = case when $5::timestamptz is null and not $7 then due_at else $6 end,
            pending = case when $7 then null else pending end,
            pending_id = case when $7 then null else pending_id end,
            pending_seq = case when $7 then null else pending_seq end,
            pending_since = case when $7 then null else pending_since end
        where org_id = $1 and id = $2 and ended_at is null and paused_at is null
            and ($5::timestamptz is null or slot_at = $5) and (not $7 or pending_id = $8)
        """,
        trigger.org_id,
        trigger.id,
        int(refused),
        None if why is None else msgspec.json.encode(why),
        occasion.slot,
        occasion.next,
        occasion.pending,
        occasion.occurrence,
    )


async def debounce(tx: Transaction, trigger: Armed, occasion: Occasion, *, seq: int, seconds: float) -> None:
    """Let an event wait until none has followed it for so long, unless the trigger has fired for it.

    seq: its place in its stream, for they are handled in any order and the last one is to fire.
    """
    await tx.execute(
        """
        update runtime.triggers set
            pending = case when coalesce(pending_seq, 0) < $7 then $3 else pending end,
            pending_id = case when coalesce(pending_seq, 0) < $7 then $4 else pending_id end,
            pending_seq = greatest(pending_seq, $7),
            pending_since = coalesce(pending_since, clock_timestamp()),
            due_at = least(clock_timestamp() + make_interval(secs => $5::float8),
                coalesce(pending_since, clock_timestamp()) + make_interval(secs => $5::float8 * $6::float8))
        where org_id = $1 and id = $2 and ended_at is null and paused_at is null and not exists (
            select from runtime.firings f where f.org_id = $1 and f.trigger_id = $2 and f.occurrence = $4
        )
        """,
        trigger.org_id,
        trigger.id,
        msgspec.json.encode(Waiting(occasion.value, occasion.depth)),
        occasion.occurrence,
        seconds,
        float(_DEBOUNCE_AT_MOST),
        seq,
    )


def why_not(kind: str, message: str, at: datetime) -> WhyNot:
    return WhyNot(kind, message[:_MAX_MESSAGE], at)
