"""The messages between the nodes of one run: bounded inboxes that hold their sources back, and who has work to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polis.runtime.engine.node import Message, NodeRun

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Sequence

    from polis.runtime.engine.item import Item

MAX_QUEUE = 100_000
"""Messages in one inbox past which a run fails instead of filling the memory."""


class Inboxes:
    """All inboxes of a run. `ready` has the bit of every node that may have something to do.

    overflowed: the first node whose inbox went past MAX_QUEUE.
    """

    __slots__ = ("nodes", "overflowed", "ready")

    def __init__(self, nodes: Sequence[NodeRun], ready: int) -> None:
        self.nodes = nodes
        self.ready = ready
        self.overflowed: NodeRun | None = None

    def deliver(self, index: int, wire: int, lineage: Item, value: object) -> None:
        node = self.nodes[index]
        if node.closed:
            return
        self.ready |= node.bit
        if node.queues is None:
            queue, bounded = node.inbox, not node.stage.sorts
        else:
            port = node.stage.ports[wire]
            queue, bounded = node.queues[port], port not in node.stage.sorted_ports
        queue.append((lineage, wire, value))
        if len(queue) >= node.bound:
            if bounded and not node.full:
                self._hold_back(node)
            if len(queue) > MAX_QUEUE:
                self.overflowed = self.overflowed or node

    def take(self, node: NodeRun) -> Message:
        """The next message of a node that takes them singly; there is one."""
        message = node.inbox.popleft()
        node.received += 1
        if node.full and len(node.inbox) <= node.bound >> 1:
            self.let_on(node)
        return message

    def take_pair(self, node: NodeRun) -> list[Message] | None:
        """The next message of each live port; ports that no order is sure of give theirs when all have come."""
        queues = node.queues or {}
        if node.open == 0 and not node.sorted:
            node.sorted = True
            for port in node.stage.sorted_ports:
                _sort(queues[port])
        if not node.live or not all(queues[port] for port in node.live):
            return None
        if node.stage.sorted_ports and not node.sorted:
            return None
        taken = [queues[port].popleft() for port in node.live]
        node.received += len(taken)
        if node.full and all(len(q) <= node.bound >> 1 for q in node.bounded_queues()):
            self.let_on(node)
        return taken

    def sort(self, node: NodeRun) -> None:
        """Bring what a collector is given into its one right order, now that all of it has come."""
        node.sorted = True
        _sort(node.inbox)

    def has_pair(self, node: NodeRun) -> bool:
        return node.queues is not None and bool(node.live) and all(node.queues[port] for port in node.live)

    def close(self, node: NodeRun) -> None:
        """Nothing that is here or arrives is of use any more."""
        node.closed = True
        node.inbox.clear()
        if node.queues is not None:
            for queue in node.queues.values():
                queue.clear()
        if node.full:
            self.let_on(node)

    def let_on(self, node: NodeRun) -> None:
        """The inbox has room again."""
        node.full = False
        for index in node.stage.sources:
            source = self.nodes[index]
            source.blocked -= 1
            if source.blocked == 0:
                self.ready |= source.bit

    def grow(self) -> bool:
        """Double what the full inboxes hold; whether there was one.

        Bounded inboxes can lock a graph up that runs with larger ones: a branch waits for the end of a stream whose
        other branch is full (Parks, "Bounded scheduling of process networks", 1995).
        """
        full = [node for node in self.nodes if node.full]
        for node in full:
            node.bound *= 2
            self.let_on(node)
        return bool(full)

    def _hold_back(self, node: NodeRun) -> None:
        node.full = True
        for source in node.stage.sources:
            self.nodes[source].blocked += 1


def _sort(queue: deque[Message]) -> None:
    ordered = sorted(queue, key=_place)
    queue.clear()
    queue.extend(ordered)


def _place(message: Message) -> tuple[Item, int]:
    return message[0], message[1]
