"""Moments, time zones, and the directives by which moments are written."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime, tzinfo

import msgspec

from polis.graph.faults import Malformed

_DIRECTIVES = frozenset("YmdHMSfzZjaAbBpIyVGu%")
"""What means the same on every system."""
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+){0,2}$")


def zone(name: str) -> tzinfo:
    """A time zone of IANA's; Malformed for what is none."""
    from zoneinfo import ZoneInfo

    if name == "UTC":
        return UTC
    with suppress(ValueError, OSError, KeyError):
        if _ZONE.match(name):
            return ZoneInfo(name)
    raise Malformed(f"there is no time zone `{name:.60}`")


def refuse_directives(pattern: str) -> None:
    """Malformed for a pattern of strptime that does not mean the same everywhere."""
    if wrong := set(re.findall(r"%(.?)", pattern)) - _DIRECTIVES:
        raise Malformed(f"`%{min(wrong)}` is not known")


def moment(text: str) -> datetime:
    """A moment with its zone (RFC 3339); Malformed for what is none."""
    try:
        found = msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        raise Malformed(f"no moment (RFC 3339): {text!r:.60}") from None
    if found.tzinfo is None:
        raise Malformed(f"a moment without a zone: {text!r:.60}")
    return found
