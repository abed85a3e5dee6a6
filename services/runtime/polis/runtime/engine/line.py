"""What a step says in its run's log, as it is kept: within bounds, and without what may not be shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from polis.proto.runtime import MAX_LINE
from polis.runtime.engine.history import VALUE_BYTES, bounded

if TYPE_CHECKING:
    from polis.proto.runtime import LineLevel
    from polis.runtime.engine.activation import Activation
    from polis.runtime.engine.exposure import Exposure


class Line(Struct, frozen=True, eq=False):
    """at: when it was said, by the engine's clock. value: as JSON, where anything was said with it."""

    at: float
    level: LineLevel
    message: str
    value: msgspec.Raw | None


def line(activation: Activation, level: LineLevel, message: str, value: object) -> Line:
    kept = None if value is None else _kept(activation.node.stage.shown, value)
    return Line(activation.machine.now, level, message[:MAX_LINE], kept)


def _kept(shown: Exposure, value: object) -> msgspec.Raw:
    whole, size = bounded(value, VALUE_BYTES)
    if not size and shown.taint is None:
        return whole  # what is left out is not searched for what may not be shown
    return bounded(shown.said(value), VALUE_BYTES)[0]
