"""Kahn's order of a directed graph, and the cycles that stand in its way."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def order(successors: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The nodes so that every one stands behind its sources, ties as listed; those on or behind a cycle are absent."""
    waits = dict.fromkeys(successors, 0)
    for targets in successors.values():
        for target in targets:
            waits[target] += 1
    ready = deque(node for node, count in waits.items() if count == 0)
    ordered = []
    while ready:
        node = ready.popleft()
        ordered.append(node)
        for target in successors[node]:
            waits[target] -= 1
            if waits[target] == 0:
                ready.append(target)
    return tuple(ordered)


def cycles(successors: Mapping[str, Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    """Cycles that together hold every node that lies on one, each from its first node as listed.

    A node that only follows a cycle is in none. Nodes of one strongly connected part may need several cycles.
    """
    done = set(order(successors))
    found: list[tuple[str, ...]] = []
    covered: set[str] = set()
    for start in successors:
        if start in done or start in covered:
            continue
        cycle = _cycle_through(start, successors, done)
        if cycle:
            found.append(cycle)
            covered.update(cycle)
    return tuple(found)


def _cycle_through(start: str, successors: Mapping[str, Sequence[str]], without: set[str]) -> tuple[str, ...]:
    """The shortest way from a node back to itself; empty when there is none."""
    came_from: dict[str, str] = {}
    queue = deque([start])
    while queue:
        node = queue.popleft()
        for target in successors[node]:
            if target == start:
                return _walk_back(node, came_from, start)
            if target not in came_from and target not in without:
                came_from[target] = node
                queue.append(target)
    return ()


def _walk_back(node: str, came_from: Mapping[str, str], start: str) -> tuple[str, ...]:
    way = [node]
    while way[-1] != start:
        way.append(came_from[way[-1]])
    return tuple(reversed(way))
