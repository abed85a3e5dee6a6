"""Collectors: a node that is given every message in its order, and emits when there are no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polis.runtime.engine.activation import Attempt
from polis.runtime.engine.intake import Taken, take
from polis.runtime.engine.item import ROOT

if TYPE_CHECKING:
    from polis.runtime.engine.frame import Frame
    from polis.runtime.engine.node import NodeRun


def collect(frame: Frame, node: NodeRun) -> None:
    """Hand its messages to a collector in their order; when they have ended, it emits."""
    stage = node.stage
    if node.finishing or node.closed or (stage.sorts and node.open):
        return
    if stage.sorts and not node.sorted:
        frame.inboxes.sort(node)
    while stage.ports and not node.blocked and (taken := take(frame, node)) is not None:
        if not _receive(frame, node, taken):
            frame.inboxes.close(node)
            return
        if frame.clock() >= frame.machine.turn_ends:
            frame.mark_ready(node)
            return
    if node.open == 0 and not node.inbox:
        attempt = _collecting(frame, node)
        node.finishing = True
        if attempt is not None:
            frame.machine.attempts.launch(attempt)


def _collecting(frame: Frame, node: NodeRun) -> Attempt | None:
    """The attempt that is a collector's whole life in a frame; None when it is over."""
    if node.collecting is not None or node.stage.collector is None:
        return node.collecting
    attempts = frame.machine.attempts
    frame.begin(node)
    activation = attempts.add(frame, node, ROOT, {})
    if activation.state == "done":
        attempts.advance(activation)
        return None
    node.attempts += 1
    activation.state = "running"
    attempt = Attempt(activation)
    try:
        node.collector = node.stage.collector(attempt)
    except Exception as error:  # noqa: BLE001 - a component may raise anything: it is its run's failure
        attempts.miss(activation, frame.failure(node, error))
        return None
    node.collecting = attempt
    return attempt


def _receive(frame: Frame, node: NodeRun, taken: Taken) -> bool:
    """Give a collector one message; whether it takes more."""
    attempt = _collecting(frame, node)
    if attempt is None or node.collector is None:
        return False
    _, inputs, wrong = taken
    attempt.activation.origins |= node.origins
    if wrong is None:
        try:
            node.collector.receive(inputs)
        except Exception as error:  # noqa: BLE001 - as above
            wrong = frame.failure(node, error)
    if wrong is not None:
        frame.machine.attempts.miss(attempt.activation, wrong)
    return attempt.current
