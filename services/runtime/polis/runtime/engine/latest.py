"""Nodes that take the latest of each input: what came together is for time to say, so it is journaled where it matters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polis.runtime.component import Inputs
from polis.runtime.engine.activation import Failure, Recorded
from polis.runtime.engine.failure import misfits
from polis.runtime.engine.inboxes import MAX_QUEUE
from polis.runtime.engine.item import Item
from polis.runtime.engine.provenance import opened

if TYPE_CHECKING:
    from polis.runtime.engine.frame import Frame
    from polis.runtime.engine.node import NodeRun


def take(frame: Frame, node: NodeRun) -> tuple[Item, Inputs, Failure | None] | None:
    """The next message with the last of the other inputs; the messages that the journal names, where it does."""
    frame.begin(node)
    known = frame.machine.attempts.choice(frame, node)
    if known is not None:
        return _repeated(frame, node, known)
    while node.aside or node.inbox:
        if node.aside:
            place, value = next(iter(node.aside.items()))
            del node.aside[place]
        else:
            lineage, wire, value = frame.inboxes.take(node)
            place = (wire, lineage)
        if node.stage.chooses:
            node.choice.append(place)
        node.last[node.stage.ports[place[0]]] = (place[0], value)
        if len(node.last) == len(node.live):
            return _item(node)
    return None


def _repeated(frame: Frame, node: NodeRun, known: Recorded) -> tuple[Item, Inputs, Failure | None] | None:
    """The item again that the journal knows of, as soon as all its messages are there, in the order in which they were."""
    while node.inbox:
        lineage, wire, value = frame.inboxes.take(node)
        node.aside[wire, lineage] = value
    if len(node.aside) > MAX_QUEUE:
        frame.fail(node, Failure("inbox.overflow", f"more than {MAX_QUEUE:,} messages wait for earlier ones"))
        return None
    if not all(place in node.aside for place in known.chosen):
        return None
    for place in known.chosen:
        node.last[node.stage.ports[place[0]]] = (place[0], node.aside.pop(place))
    frame.machine.attempts.chosen(frame, node)
    return _item(node)


def _item(node: NodeRun) -> tuple[Item, Inputs, Failure | None]:
    node.paired += 1
    last = {port: (wire, opened(value, node)) for port, (wire, value) in node.last.items()}
    inputs = {port: last[port][1] for port in node.live}
    return (node.paired - 1,), inputs, misfits(node.stage, last.values())
