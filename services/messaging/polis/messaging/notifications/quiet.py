"""Hours in which somebody is not disturbed, by the clock on the wall of a place."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

if TYPE_CHECKING:
    from polis.proto.messaging import QuietHours


def is_zone(name: str) -> bool:
    """Whether there is a time zone of this name."""
    try:
        _zone(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def until(hours: QuietHours, now: datetime) -> datetime | None:
    """The moment from which somebody may be disturbed again; None when it is now.

    Where clocks are set forward over the end, it is as long after the change as the end is; where they are set back over
    it, hours that come twice are quiet twice.
    """
    zone = _zone(hours.zone)
    begin, end = time.fromisoformat(hours.begin), time.fromisoformat(hours.end)
    local = now.astimezone(zone)
    wall = local.time()
    is_quiet = begin <= wall < end if begin < end else wall >= begin or wall < end
    if not is_quiet:
        return None
    ends = (
        datetime.combine(local.date() + timedelta(days=days), end, zone).replace(fold=fold).astimezone(UTC)
        for days in (0, 1)
        for fold in (0, 1)
    )
    return next(at for at in ends if at > now)


@lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
