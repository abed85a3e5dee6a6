"""A node during one run: its inbox, the items at work in it, and what it has done so far."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

from msgspec import Struct

from polis.proto.runtime import Step, StepState
from polis.runtime.component import Collector
from polis.runtime.engine.activation import Activation, Attempt, InlineStep
from polis.runtime.engine.item import Item
from polis.runtime.engine.provenance import NONE, Origins, approved, unapproved
from polis.runtime.engine.stage import Stage

if TYPE_CHECKING:
    from polis.runtime.engine.frame import Frame

INBOX = 64
"""Messages that wait in front of a node before its sources are held back."""

Message = tuple[Item, int, object]
"""Lineage, the wire that it came by, and the value."""


Place = tuple[int, Item]
"""A message by where it came from: wire and lineage."""


class NodeRun(Struct, eq=False, weakref=False):
    """A node of one run: plain state, which its engine and the inboxes change.

    open: sources that may still send. blocked: targets whose inboxes are full. window: items at work, in order.
    queues: one for each port of a pairing node. live: the ports that it waits for: all that are connected, without
    graph inputs that were left out. last: of a node that takes the latest, what each port had last, with its wire; choice: the
    messages that came since its last item; aside: those that came before others that the journal names. closed: what arrives is of no use any more. finishing: a collector emits.
    fired: a node without inputs has had its one activation. missed: attempts that failed. before: what was told of it
    by the process that had the run before: what is only repeated began and ended then.
    """

    stage: Stage
    bit: int
    open: int
    inbox: deque[Message]
    window: deque[Activation]
    queues: dict[str, deque[Message]] | None = None
    live: tuple[str, ...] = ()
    step: InlineStep | None = None
    last: dict[str, tuple[int, object]] = {}
    choice: list[Place] = []
    aside: dict[Place, object] = {}
    origins: Origins = NONE
    made: Origins = NONE
    collector: Collector | None = None
    collecting: Attempt | None = None
    blocked: int = 0
    bound: int = INBOX
    paired: int = 0
    full: bool = False
    sorted: bool = False
    closed: bool = False
    ended: bool = False
    fired: bool = False
    finishing: bool = False
    received: int = 0
    emitted: int = 0
    attempts: int = 0
    missed: int = 0
    state: StepState = "pending"
    started_at: float | None = None
    ended_at: float | None = None
    error: str | None = None
    progress: tuple[int, int | None] | None = None
    before: Step | None = None

    def bounded_queues(self) -> Iterable[deque[Message]]:
        """Of a pairing node: messages that are gathered to be sorted are in none of them."""
        return (q for port, q in (self.queues or {}).items() if port not in self.stage.sorted_ports)

    def facts(self, created_at: float) -> Step:
        """What the node has done so far; times count from when the run was created, in the engine's clock."""
        component = self.stage.component
        started_ms, ended_ms = since(self.started_at, created_at), since(self.ended_at, created_at)
        if self.before is not None and started_ms is not None:
            started_ms = first(self.before.started_ms, started_ms)
            ended_ms = None if ended_ms is None else first(self.before.ended_ms, ended_ms)
        made = self.made
        return Step(
            node=self.stage.path,
            component=component.key,
            title=self.stage.title,
            activity=component.activity,
            state=self.state,
            received=self.received,
            emitted=self.emitted,
            attempts=self.attempts,
            started_ms=started_ms,
            ended_ms=ended_ms,
            error=self.error,
            done=None if self.progress is None else self.progress[0],
            total=None if self.progress is None else self.progress[1],
            model=unapproved(made) if made else (),
            approved=approved(made) if made else (),
        )


def node_of(frame: Frame, stage: Stage) -> NodeRun:
    """A node before anything has reached it."""
    node = NodeRun(stage, stage.bit, stage.open, deque(), deque())
    if stage.pairs:
        node.queues = {port: deque() for port in stage.ports}
    if stage.plain:
        node.step = InlineStep(frame, node)
    return node


def first(before: int | None, now: int) -> int:
    return now if before is None else before


def since(at: float | None, created_at: float) -> int | None:
    return None if at is None else max(0, int((at - created_at) * 1000))
