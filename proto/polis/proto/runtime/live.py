"""What the runtime tells live of its runs."""

from __future__ import annotations

from msgspec import Struct

from polis.proto.contract import live
from polis.proto.runtime.lines import LogLine
from polis.proto.runtime.runs import Transition


class LiveTransitions(Struct, frozen=True, omit_defaults=True):
    """What travels on `live.<org>.run.<id>`: transitions and lines that are already in the journal, each in order.

    Of many lines at a time the last ones are told.
    """

    transitions: tuple[Transition, ...]
    lines: tuple[LogLine, ...] = ()


RUN_LIVE = live(LiveTransitions, topic="run", entity="run_id")
