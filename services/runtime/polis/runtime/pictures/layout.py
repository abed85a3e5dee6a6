"""Where each node stands: in the layer behind the last of its sources, near to them; and what is said of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from polis.graph.kahn import order

if TYPE_CHECKING:
    from polis.proto.graph import Graph
    from polis.proto.runtime import Step


class Box(Struct, frozen=True):
    """A node: its name, two lines of text, its state, and its place by layer and row."""

    name: str
    title: str
    said: str
    state: str
    layer: int
    row: int


class Drawing(Struct, frozen=True):
    """A graph that can be drawn. arrows: pairs of positions among the boxes, each once; dashed: by the error port."""

    title: str
    boxes: Sequence[Box]
    arrows: Sequence[tuple[int, int, bool]]


def lay_out(title: str, graph: Graph, steps: Sequence[Step]) -> Drawing:
    known = {step.node: step for step in steps}
    targets: dict[str, list[str]] = {name: [] for name in graph.nodes}
    sources: dict[str, list[str]] = {name: [] for name in graph.nodes}
    arrows: dict[tuple[str, str], bool] = {}
    for edge in graph.edges:
        (source, _, port), target = edge.source.partition("."), edge.target.partition(".")[0]
        if (source, target) not in arrows:
            targets[source].append(target)
            sources[target].append(source)
        arrows[source, target] = arrows.get((source, target), True) and port == "error"
    names = order(targets)
    places = _places(names, sources)
    boxes = [_box(name, graph, known.get(name), places[name]) for name in names]
    position = {name: index for index, name in enumerate(names)}
    return Drawing(title, boxes, [(position[a], position[b], error) for (a, b), error in arrows.items()])


def _places(names: Sequence[str], sources: Mapping[str, Sequence[str]]) -> dict[str, tuple[int, int]]:
    """Layer and row of each node. In a layer, nodes stand in the order of the mean row of their sources."""
    layer: dict[str, int] = {}
    for name in names:
        layer[name] = max((layer[source] + 1 for source in sources[name]), default=0)
    places: dict[str, tuple[int, int]] = {}
    for number in range(max(layer.values(), default=0) + 1):
        here = [name for name in names if layer[name] == number]
        mean = {
            name: sum(places[source][1] for source in sources[name]) / max(1, len(sources[name]))
            for name in here
        }
        for row, name in enumerate(sorted(here, key=mean.__getitem__)):
            places[name] = number, row
    return places


def _box(name: str, graph: Graph, step: Step | None, place: tuple[int, int]) -> Box:
    state = "pending" if step is None else step.state
    title = graph.nodes[name].title or (step.title if step is not None and step.title else name)
    return Box(name, title, _said(state, step), state, *place)


def _said(state: str, step: Step | None) -> str:
    words = [state]
    if step is not None and step.started_ms is not None and step.ended_ms is not None:
        words.append(f"{step.ended_ms - step.started_ms:,} ms")
    if step is not None and step.attempts:
        words.append(f"{step.received:,} in, {step.emitted:,} out")
    return " · ".join(words)
