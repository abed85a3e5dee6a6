"""What runs execute, by digest: written once per org, compiled once per process."""

from __future__ import annotations

import asyncio
import hashlib
import math
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.graph import GraphUse
from polis.proto.graph import Component, Graph
from polis.runtime.custom import executed
from polis.runtime.engine.program import Program, compile_program
from polis.runtime.engine.straight import Straight, straight

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

K = TypeVar("K")
V = TypeVar("V")

_COMPILED = 512
"""Programs kept compiled: some 10 KB each, with their schemas."""
_KNOWN = 10_000
"""Pairs of org and digest that are known to be stored."""
RELIED_S = 600.0
"""How long a process relies on it that a program is stored, before it stores it again."""


class Bundle(Struct, frozen=True, omit_defaults=True):
    """A graph with the components and graphs that its nodes named when the run started, `key@version`."""

    graph: Graph
    components: dict[str, Component]
    graphs: dict[str, Graph] = {}


_bundle = msgspec.json.Decoder(Bundle)
"""Made before threads read bundles: see polis.graph.reader."""


class Resolved(Struct, frozen=True):
    """A version of a component."""

    digest: str
    component: Component


class ResolvedGraph(Struct, frozen=True):
    """A version of a graph that another one names."""

    digest: str
    graph: Graph


class Bound(Struct, frozen=True):
    """A compiled program, and the bytes by which another process would compile it. timeout_s: what a run of it may take."""

    digest: str
    content: bytes
    program: Program
    straight: Straight | None
    timeout_s: float | None = None


class Programs:
    """The programs of this process."""

    def __init__(self) -> None:
        self._compiled: OrderedDict[Hashable, Bound] = OrderedDict()
        self._stored: OrderedDict[tuple[UUID, str], float] = OrderedDict()

    async def of(
        self,
        graph_digest: str,
        graph: Graph,
        components: Mapping[str, Resolved],
        graphs: Mapping[GraphUse, ResolvedGraph],
    ) -> Bound:
        """The program of a graph version. GraphFaults when it cannot run."""
        found = [(name, part.digest) for name, part in components.items()]
        found += [(str(use), part.digest) for use, part in graphs.items()]
        parts = {name: part.component for name, part in components.items()}
        inner = {str(use): part.graph for use, part in graphs.items()}
        return await self._get(
            (graph_digest, tuple(sorted(found))), lambda: _bound(Bundle(graph, parts, inner))
        )

    async def stored(self, digest: str, content: bytes) -> Program:
        """The program of a stored bundle. GraphFaults when this version of the runtime cannot run it any more."""
        return (await self.restored(digest, content)).program

    async def restored(self, digest: str, content: bytes) -> Bound:
        """A stored bundle. GraphFaults as `stored`."""
        found = await self._get(digest, lambda: _bound(_bundle.decode(content)))
        # Another version of the runtime may write the same bundle otherwise: what is stored keeps its name.
        return found if found.digest == digest else Bound(digest, content, found.program, found.straight)

    def is_stored(self, org_id: UUID, digest: str) -> bool:
        """Whether it is certain: a program that nobody has relied on for long may have been deleted."""
        return time.monotonic() - self._stored.get((org_id, digest), -math.inf) < RELIED_S

    def mark_stored(self, org_id: UUID, digest: str) -> None:
        if not self.is_stored(org_id, digest):
            _keep(self._stored, (org_id, digest), time.monotonic(), _KNOWN)

    async def _get(self, key: Hashable, make: Callable[[], Bound]) -> Bound:
        found = self._compiled.get(key)
        if found is None:
            # A graph of 500 nodes takes tens of milliseconds.
            found = await asyncio.to_thread(make)
            _keep(self._compiled, found.digest, found, _COMPILED)
        _keep(self._compiled, key, found, _COMPILED)
        return found


def _bound(bundle: Bundle) -> Bound:
    graphs = {GraphUse.parse(name): graph for name, graph in bundle.graphs.items()}
    program = compile_program(
        bundle.graph, bundle.components, lambda key: executed(bundle.components[key]), graphs
    )
    return bind(bundle, program)


def bind(bundle: Bundle, program: Program) -> Bound:
    """A program with the bytes that it is compiled from."""
    content = msgspec.json.encode(bundle, order="deterministic")
    return Bound(hashlib.sha256(content).hexdigest(), content, program, straight(program))


def _keep(cache: OrderedDict[K, V], key: K, value: V, bound: int) -> None:
    cache[key] = value
    cache.move_to_end(key)
    if len(cache) > bound:
        cache.popitem(last=False)
