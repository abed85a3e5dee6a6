"""Components of time: time.now, time.parse, time.format, time.add and time.difference. Moments are RFC 3339, in UTC."""

from __future__ import annotations

import calendar
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Literal

import msgspec
from msgspec import Struct

from polis.graph.formats.moment import zone
from polis.runtime.component import Inputs, Step, StepFailed, component

MAX_CHARS = 200
_MONTHS = 12


class Parse(Struct, frozen=True):
    """Configuration of time.parse."""

    format: Literal["rfc3339", "rfc2822", "unix", "unix_ms", "pattern"] = "rfc3339"
    pattern: str = ""
    zone: str = "UTC"


class Format(Struct, frozen=True):
    """Configuration of time.format."""

    pattern: str = "%Y-%m-%dT%H:%M:%S%z"
    zone: str = "UTC"


class Add(Struct, frozen=True):
    """Configuration of time.add: years to days count on the calendar of the zone, hours to seconds on the clock."""

    zone: str = "UTC"
    years: int = 0
    months: int = 0
    weeks: int = 0
    days: int = 0
    hours: float = 0
    minutes: float = 0
    seconds: float = 0


class Zoned(Struct, frozen=True):
    """Configuration of time.difference."""

    zone: str = "UTC"


def moment(value: object) -> datetime:
    """A moment in RFC 3339; StepFailed for what is none."""
    if not isinstance(value, str) or len(value) > MAX_CHARS:
        raise StepFailed("time.invalid", "a moment is a text as 2026-03-02T09:00:00Z")
    return _understood(lambda: datetime.fromisoformat(value), value, UTC)


def told(at: datetime) -> str:
    """A moment as a message holds it."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


@component("time.now")
def time_now(step: Step, inputs: Inputs) -> None:
    del inputs
    step.emit("out", told(datetime.now(UTC)))


@component("time.parse")
def time_parse(step: Step, inputs: Inputs) -> None:
    config, value = msgspec.convert(step.config, Parse), inputs["in"]
    if isinstance(value, str) and len(value) > MAX_CHARS:
        raise StepFailed("time.invalid", f"a moment has at most {MAX_CHARS} characters")
    read = _READERS[config.format]
    step.emit("out", told(_understood(lambda: read(value, config.pattern), value, zone(config.zone))))


@component("time.format")
def time_format(step: Step, inputs: Inputs) -> None:
    config = msgspec.convert(step.config, Format)
    step.emit("out", _shifted(moment(inputs["in"]), zone(config.zone)).strftime(config.pattern))


@component("time.add")
def time_add(step: Step, inputs: Inputs) -> None:
    config = msgspec.convert(step.config, Add)
    try:
        local = _shifted(moment(inputs["in"]), zone(config.zone))
        later = _months_on(local, config.years * _MONTHS + config.months)
        later += timedelta(weeks=config.weeks, days=config.days)
        clock = timedelta(hours=config.hours, minutes=config.minutes, seconds=config.seconds)
        step.emit("out", told(later.astimezone(UTC) + clock))
    except (ValueError, OverflowError):
        raise StepFailed("time.outside", "that is outside the years 1 to 9999") from None


@component("time.difference")
def time_difference(step: Step, inputs: Inputs) -> None:
    where = zone(msgspec.convert(step.config, Zoned).zone)
    start, end = moment(inputs["start"]), moment(inputs["end"])
    seconds = (end - start).total_seconds()
    days = (_shifted(end, where).date() - _shifted(start, where).date()).days
    step.emit("out", {"seconds": int(seconds) if seconds.is_integer() else seconds, "days": days})


def _understood(read: Callable[[], datetime], value: object, where: tzinfo) -> datetime:
    try:
        at = read()
        return (at if at.tzinfo is not None else at.replace(tzinfo=where)).astimezone(UTC)
    except (ValueError, OverflowError, TypeError, OSError):
        raise StepFailed("time.invalid", f"this is no moment: {str(value)[:60]!r}") from None


def _shifted(at: datetime, where: tzinfo) -> datetime:
    try:
        return at.astimezone(where)
    except OverflowError:
        raise StepFailed("time.outside", "that is outside the years 1 to 9999") from None


def _months_on(at: datetime, months: int) -> datetime:
    """So many months later on the same day, or the last one of a shorter month."""
    year, month = divmod(at.year * _MONTHS + at.month - 1 + months, _MONTHS)
    if not 1 <= year <= 9999:
        raise ValueError(year)
    return at.replace(
        year=year, month=month + 1, day=min(at.day, calendar.monthrange(year, month + 1)[1]), fold=0
    )


def _unix(value: object, scale: int) -> datetime:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError(value)
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=float(value) / scale)


def _rfc2822(value: object, _: str) -> datetime:
    from email.utils import parsedate_to_datetime

    return parsedate_to_datetime(_written(value))


def _written(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value.strip()


_READERS: Mapping[str, Callable[[object, str], datetime]] = {
    "rfc3339": lambda value, _: datetime.fromisoformat(_written(value)),
    "rfc2822": _rfc2822,
    "unix": lambda value, _: _unix(value, 1),
    "unix_ms": lambda value, _: _unix(value, 1000),
    "pattern": lambda value, pattern: datetime.strptime(_written(value), pattern),  # noqa: DTZ007 - its zone is added
}
