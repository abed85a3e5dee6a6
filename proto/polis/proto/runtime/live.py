"""What the runtime tells live of its runs."""

from __future__ import annotations

from polis.proto.contract import live
from polis.proto.runtime.runs import LiveTransitions

RUN_LIVE = live(LiveTransitions, topic="run", entity="run_id")
