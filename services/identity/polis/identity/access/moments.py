"""Moments that callers name: when something is to end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polis.proto import Refused
from polis.proto.problems import Fault, Invalid

if TYPE_CHECKING:
    from datetime import datetime


def demand_to_come(moment: datetime | None, now: datetime, *, pointer: str) -> None:
    """Refused(Invalid) for one that is past."""
    if moment is not None and moment <= now:
        raise Refused(Invalid(faults=(Fault(pointer, "Expected a moment to come"),)))
