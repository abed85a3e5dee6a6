"""What a node takes next: one message, or one of each port together, and what is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polis.runtime.component import Inputs
from polis.runtime.engine import latest
from polis.runtime.engine.activation import Failure
from polis.runtime.engine.failure import misfit, misfits
from polis.runtime.engine.item import ROOT, Item
from polis.runtime.engine.provenance import NONE, opened

if TYPE_CHECKING:
    from polis.runtime.engine.frame import Frame
    from polis.runtime.engine.node import NodeRun

Taken = tuple[Item, Inputs, Failure | None]


def take(frame: Frame, node: NodeRun) -> Taken | None:
    """The next item of a node, what is in it, and what is wrong with that."""
    stage = node.stage
    if frame.traced:
        node.origins = NONE
    if stage.pairs:
        return _take_pair(frame, node)
    if stage.latest:
        return latest.take(frame, node)
    if not stage.ports:
        if node.fired:
            return None
        node.fired = True
        frame.begin(node)
        return ROOT, {}, None
    if not node.inbox:
        return None
    if node.started_at is None:
        frame.begin(node)
    lineage, wire, value = frame.inboxes.take(node)
    if frame.traced:
        value = opened(value, node)
    port, check = stage.ports[wire], stage.checks[wire]
    wrong = None if check is None else misfit(check, port, value)
    return ((*lineage, wire) if stage.marks else lineage), {port: value}, wrong


def _take_pair(frame: Frame, node: NodeRun) -> Taken | None:
    stage = node.stage
    messages = frame.inboxes.take_pair(node)
    if messages is None and stage.strict:
        return _uneven(frame, node)
    if messages is None:
        # One port has ended: what the others still get can never be paired.
        for port in node.live:
            over = all(frame.nodes[source].ended for source in stage.port_sources[port])
            if over and node.queues is not None and not node.queues[port]:
                frame.inboxes.close(node)
                break
        return None
    if node.started_at is None:
        frame.begin(node)
    if frame.traced:
        messages = [(lineage, wire, opened(value, node)) for lineage, wire, value in messages]
    wrong = misfits(stage, ((wire, value) for _, wire, value in messages))
    node.paired += 1
    return (node.paired - 1,), {stage.ports[wire]: value for _, wire, value in messages}, wrong


def _uneven(frame: Frame, node: NodeRun) -> Taken | None:
    """Under `zip`, every message has its partners: an item that fails, for the first that has not."""
    queues = node.queues or {}
    more = {port: opened(queues[port][0][2], node) for port in node.live if queues[port]}
    if node.open or not more or len(more) == len(node.live):
        return None
    ended = next(port for port in node.live if port not in more)
    frame.inboxes.close(node)
    frame.begin(node)
    detail = f"`{ended}` has had {node.paired:,} messages, `{next(iter(more))}` has more"
    return (node.paired,), more, Failure("merge.uneven", detail)
