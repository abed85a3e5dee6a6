"""Moments that callers name: when something is to end."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from polis.proto import Refused
from polis.proto.problems import Fault, Invalid

if TYPE_CHECKING:
    from datetime import datetime

FARTHEST = timedelta(days=36_525)
"""Later than this is a mistake; and in UTC the last hours of the year 9999 are no moment at all."""


def demand_to_come(moment: datetime | None, now: datetime, *, pointer: str) -> None:
    """Refused(Invalid) unless it is within the next hundred years, or none."""
    if moment is not None and not now < moment <= now + FARTHEST:
        raise Refused(Invalid(faults=(Fault(pointer, "Expected a moment within the next 100 years"),)))
