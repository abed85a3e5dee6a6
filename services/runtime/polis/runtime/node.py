"""A node during one run: its inbox, the items at work in it, and what it has done so far."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

from polis.proto.runtime import Step, StepState
from polis.runtime.activation import Activation, Attempt, InlineStep
from polis.runtime.item import Item

if TYPE_CHECKING:
    from polis.runtime.component import Collector
    from polis.runtime.engine import Machine
    from polis.runtime.program import Stage

INBOX = 64
"""Messages that wait in front of a node before its sources are held back."""

Message = tuple[Item, int, object]
"""Lineage, the wire that it came by, and the value."""


class NodeRun:
    """A node of one run: plain state, which its engine and the inboxes change.

    open: sources that may still send. blocked: targets whose inboxes are full. window: items at work, in order.
    queues: one for each port of a pairing node. live: the ports that it waits for: all that are connected, without
    graph inputs that were left out. fired: a node without inputs has had its one activation. missed: attempts that failed.
    """

    __slots__ = (
        "attempts", "bit", "blocked", "bound", "closed", "collecting", "collector", "emitted", "ended", "ended_at", "error",
        "finishing", "fired", "full", "inbox", "live", "missed", "open", "paired", "progress", "queues", "received",
        "sorted", "stage", "started_at", "state", "step", "window",
    )  # fmt: skip

    def __init__(self, machine: Machine, stage: Stage) -> None:
        self.stage = stage
        self.bit = 1 << stage.index
        self.inbox: deque[Message] = deque()
        self.queues: dict[str, deque[Message]] | None = (
            {port: deque() for port in stage.ports} if stage.pairs else None
        )
        self.live: tuple[str, ...] = ()
        self.window: deque[Activation] = deque()
        self.step = InlineStep(machine, self) if stage.inline is not None and stage.pure else None
        self.collector: Collector | None = None
        self.collecting: Attempt | None = None
        self.open = len(stage.sources)
        self.blocked = 0
        self.bound = INBOX
        self.full = False
        self.sorted = False
        self.closed = False
        self.ended = False
        self.fired = False
        self.finishing = False
        self.paired = 0
        self.received = 0
        self.emitted = 0
        self.attempts = 0
        self.missed = 0
        self.state: StepState = "pending"
        self.started_at: float | None = None
        self.ended_at: float | None = None
        self.error: str | None = None
        self.progress: tuple[int, int | None] | None = None

    def bounded_queues(self) -> Iterable[deque[Message]]:
        """Of a pairing node: messages that are gathered to be sorted are in none of them."""
        return (q for port, q in (self.queues or {}).items() if port not in self.stage.sorted_ports)

    def facts(self, created_at: float) -> Step:
        """What the node has done so far; times count from when the run was created, in the engine's clock."""
        component = self.stage.component
        return Step(
            node=self.stage.name,
            component=component.key,
            title=self.stage.title,
            activity=component.activity,
            state=self.state,
            received=self.received,
            emitted=self.emitted,
            attempts=self.attempts,
            started_ms=_ms(self.started_at, created_at),
            ended_ms=_ms(self.ended_at, created_at),
            error=self.error,
        )


def _ms(at: float | None, created_at: float) -> int | None:
    return None if at is None else max(0, int((at - created_at) * 1000))
