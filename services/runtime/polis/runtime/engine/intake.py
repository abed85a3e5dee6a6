"""What a node takes next: one message, or one of each port together, and what is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polis.runtime.component import Inputs
from polis.runtime.engine.activation import Failure
from polis.runtime.engine.failure import misfit
from polis.runtime.engine.item import ROOT, Item

if TYPE_CHECKING:
    from polis.runtime.engine.frame import Frame
    from polis.runtime.engine.node import NodeRun

Taken = tuple[Item, Inputs, Failure | None]


def take(frame: Frame, node: NodeRun) -> Taken | None:
    """The next item of a node, what is in it, and what is wrong with that."""
    stage = node.stage
    if stage.pairs:
        return _take_pair(frame, node)
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
    port, check = stage.ports[wire], stage.checks[wire]
    wrong = None if check is None else misfit(check, port, value)
    return ((*lineage, wire) if stage.marks else lineage), {port: value}, wrong


def _take_pair(frame: Frame, node: NodeRun) -> Taken | None:
    stage = node.stage
    messages = frame.inboxes.take_pair(node)
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
    wrong = None
    for _, wire, value in messages:
        check = stage.checks[wire]
        if check is not None and wrong is None:
            wrong = misfit(check, stage.ports[wire], value)
    node.paired += 1
    return (node.paired - 1,), {stage.ports[wire]: value for _, wire, value in messages}, wrong
