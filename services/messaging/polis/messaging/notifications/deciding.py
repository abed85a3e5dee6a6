"""What becomes of a notification that is due: it is told, put off, or dropped because it was read."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from msgspec import Struct

from polis.messaging.notifications import quiet
from polis.messaging.notifications.rows import quiet_of

HOUR = timedelta(hours=1)
KEPT = timedelta(days=7)
"""One that is not read for so long keeps no other away any more."""


class Due(Struct, frozen=True):
    """A notification whose time has come, and what its conversation and whom it is for are like by now."""

    org_id: UUID
    principal_id: UUID
    conversation_id: UUID
    seq: int
    last_seq: int
    last_at: datetime
    told: bool
    read_seq: int
    there: bool
    wanted: bool
    mail: bool
    hook: bool
    quiet_begin: str | None
    quiet_end: str | None
    zone: str | None
    hour_at: datetime | None
    hour_told: int
    unread: int


class Verdict(Struct, frozen=True):
    """at: until when it waits, or is kept. seq: the message that it tells of from now on."""

    what: Literal["tell", "wait", "drop"]
    at: datetime
    seq: int


def decide(due: Due, now: datetime, *, after: timedelta, told: int, per_hour: int) -> Verdict:
    """told: how many its principal was told within the hour that began at `hour_at`, if that is not over."""
    if due.told or not due.there or not due.wanted or not due.unread or due.last_seq <= due.read_seq:
        return Verdict("drop", now, due.seq)
    if due.seq <= due.read_seq and due.last_at + after > now:
        return Verdict("wait", due.last_at + after, due.last_seq)
    hours = quiet_of(due.quiet_begin, due.quiet_end, due.zone)
    later = None if hours is None else quiet.until(hours, now)
    if later is None and told >= per_hour:
        later = hour_of(due, now) + HOUR
    seq = due.seq if due.seq > due.read_seq else due.last_seq
    if later is not None:
        return Verdict("wait", later, seq)
    return Verdict("tell", now + KEPT, seq)


def hour_of(due: Due, now: datetime) -> datetime:
    """When the hour began in which notifications are counted."""
    return due.hour_at if due.hour_at is not None and due.hour_at > now - HOUR else now
