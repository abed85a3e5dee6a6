"""When a schedule fires: its slots, and what becomes of those that nobody fired in time. Pure: the time is given to it.

Slots are moments (UTC). Every slot is found by going forward from an earlier moment, so whoever asks finds the same ones.
"""

from __future__ import annotations

from collections import deque
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from cronsim import CronSim
from msgspec import Struct

from polis.proto.trigger import MOST_MISSED, Schedule

if TYPE_CHECKING:
    from collections.abc import Iterator

GRACE_S = 60.0
"""A slot that nobody fired for so long was missed: then the schedule's policy says what becomes of it."""
_GRACE = timedelta(seconds=GRACE_S)
_INSTANT = timedelta(microseconds=1)
_SECOND, _MINUTE, _WEEK = timedelta(seconds=1), timedelta(minutes=1), timedelta(weeks=1)
_FIRST_LOOK = timedelta(hours=1)
_WIDER = 8


class Turn(Struct, frozen=True):
    """What to do at a moment: the slot to fire, if one is, and the one to wait for. `passed`: some were left out."""

    fire: datetime | None
    next: datetime | None
    passed: bool = False


def turn(schedule: Schedule, slot: datetime, now: datetime) -> Turn:
    """What becomes of a due slot, and of those between it and now."""
    if now - slot <= _GRACE:
        return Turn(slot, following(schedule, slot))
    if schedule.missed == "all":
        first = _missed(schedule, slot, now, most=MOST_MISSED)[0]
        return Turn(first, following(schedule, first), passed=first > slot)
    last = _missed(schedule, slot, now, most=1)[-1]
    counts = schedule.missed == "once" or now - last <= _GRACE
    return Turn(last if counts else None, following(schedule, now), passed=not counts or last > slot)


def following(schedule: Schedule, after: datetime) -> datetime | None:
    """The first slot behind a moment; None when there is none any more."""
    zone, excluded = _zone(schedule.timezone), _dates(schedule.excluded)
    slot = _following(schedule, zone, after)
    while slot is not None and (day := slot.astimezone(zone).date()) in excluded:
        slot = _following(schedule, zone, _moment(day + timedelta(days=1), time(), zone) - _INSTANT)
    return slot


def _missed(schedule: Schedule, slot: datetime, now: datetime, *, most: int) -> list[datetime]:
    """The last slots up to now; the one that was waited for, where the rules of its zone have changed and there is none."""
    return newest(schedule, now, since=slot, most=most) or [slot]


def newest(schedule: Schedule, until: datetime, *, since: datetime, most: int) -> list[datetime]:
    """The last slots up to a moment, in their order, none before `since`."""
    span = _FIRST_LOOK
    while True:
        start = max(since, until - span)
        found: deque[datetime] = deque(maxlen=most)
        slot = following(schedule, start - _INSTANT)
        while slot is not None and slot <= until:
            found.append(slot)
            slot = following(schedule, slot)
        if len(found) == most or start == since:
            return list(found)
        span *= _WIDER


def _following(schedule: Schedule, zone: ZoneInfo, after: datetime) -> datetime | None:
    if schedule.every_s is not None:
        # Counted from 1970, so that it keeps its rhythm from version to version.
        whole = int(after.timestamp()) // schedule.every_s
        return datetime.fromtimestamp((whole + 1) * schedule.every_s, UTC)
    if schedule.cron is not None:
        return _of_cron(schedule.cron, zone, after)
    return next((slot for slot in _listed(schedule.at, schedule.timezone) if slot > after), None)


def _of_cron(cron: str, zone: ZoneInfo, after: datetime) -> datetime | None:
    slot = _found(cron, zone, after)
    if slot is None or not _is_uneven(zone):
        return slot
    # The iterator goes from hour to hour, and misses some behind a change of half an hour: there it begins anew, and
    # where the next hour does.
    for change in _changes(zone, after, slot):
        hour = change + _FIRST_LOOK - _MINUTE * change.astimezone(zone).minute
        again = (_found(cron, zone, max(after, begin - _SECOND)) for begin in (change + _SECOND, hour))
        slot = min([slot, *(found for found in again if found is not None)])
    return slot


def _found(cron: str, zone: ZoneInfo, after: datetime) -> datetime | None:
    for local in CronSim(cron, after.astimezone(zone)):
        slot = local.astimezone(UTC)
        # In an hour that comes twice the iterator, which goes by the clock on the wall, begins before `after`.
        if slot > after:
            return slot
    return None


@lru_cache(maxsize=256)
def _is_uneven(zone: ZoneInfo) -> bool:
    """Whether clocks there are set by something else than whole hours."""
    months = [datetime(2026, month, 1, tzinfo=zone).utcoffset() or timedelta() for month in range(1, 13)]
    return any((offset - months[0]) % _FIRST_LOOK for offset in months)


def _changes(zone: ZoneInfo, since: datetime, until: datetime) -> Iterator[datetime]:
    """When clocks there are set, to the second."""
    while since < until:
        behind = min(since + _WEEK, until)
        if since.astimezone(zone).utcoffset() != behind.astimezone(zone).utcoffset():
            low, high = since, behind
            while high - low > _SECOND:
                middle = low + (high - low) / 2
                same = middle.astimezone(zone).utcoffset() == since.astimezone(zone).utcoffset()
                low, high = (middle, high) if same else (low, middle)
            yield high.replace(microsecond=0)
        since = behind


@lru_cache(maxsize=1024)
def _listed(times: tuple[str, ...], zone: str) -> tuple[datetime, ...]:
    locals_ = (datetime.fromisoformat(text) for text in times)
    return tuple(sorted({_moment(at.date(), at.time(), _zone(zone)) for at in locals_}))


@lru_cache(maxsize=1024)
def _dates(texts: tuple[str, ...]) -> frozenset[date]:
    return frozenset(date.fromisoformat(text) for text in texts)


@lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def _moment(day: date, at: time, zone: ZoneInfo) -> datetime:
    """A local time as a moment: the first of two, and the end of the gap for one that does not exist."""
    local = datetime.combine(day, at, zone)
    while local.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != local.replace(tzinfo=None):
        local = local.replace(second=0) + _MINUTE
    return local.astimezone(UTC)
