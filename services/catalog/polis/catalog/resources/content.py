"""What the content of a resource must be, by its type, and the canonical form in which it is stored."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from polis import graph
from polis.catalog.access import SYSTEM_ORG, Viewer
from polis.catalog.resources import components as declared
from polis.catalog.resources import graphs
from polis.graph import GraphFaults, GraphUse
from polis.proto import Refused
from polis.proto.catalog import MAX_CONTENT_BYTES, MAX_GRAPH_BYTES, ContentInvalid, ResourceType
from polis.proto.graph import Component, Graph
from polis.proto.problems import Fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from polis.db import Tenant, Transaction
    from polis.javascript import Pool

COMPONENTS_FROM = "production"
"""The environment whose components a graph is checked against."""
_MAX_FAULTS = 100
"""Faults that one refusal lists; one more then says that there are others."""
_MAX_CHARS = 500
"""Characters of a fault's pointer and detail: keys are the client's, and a refusal is one message of the bus."""
_AT_ONCE_BYTES = 8 * 1024
"""As much JSON is put into its canonical form within 2 ms; another thread would cost more than it spares."""
_MAX_BYTES: Mapping[str, int] = {"graph": MAX_GRAPH_BYTES, "component": MAX_GRAPH_BYTES}


class Canonical(Struct, frozen=True):
    """A content as it is stored: its canonical JSON (RFC 8785), and the SHA-256 of that."""

    text: str
    digest: str

    @property
    def content(self) -> dict[str, object]:
        return msgspec.json.decode(self.text, type=dict[str, object])


class _ComponentRow(Struct, frozen=True):
    key: str
    content: str


def canonical(content: object) -> Canonical:
    """The canonical form of a JSON value. GraphFaults names what readers of JSON would not agree on."""
    return stored(graph.canonical(content).decode())


def stored(text: str) -> Canonical:
    """A content that is in canonical form already."""
    return Canonical(text, hashlib.sha256(text.encode()).hexdigest())


async def written(kind: ResourceType, content: dict[str, object]) -> Canonical:
    """The canonical form of what a client wrote. Refused(ContentInvalid) when it has none or is too large."""
    try:
        short = len(msgspec.json.encode(content)) <= _AT_ONCE_BYTES
        form = canonical(content) if short else await asyncio.to_thread(canonical, content)
    except GraphFaults as error:
        raise invalid(error.faults) from None
    limit = _MAX_BYTES.get(kind, MAX_CONTENT_BYTES)
    if (size := len(form.text.encode())) > limit:
        raise invalid([Fault("", f"{size} bytes of canonical JSON; a {kind} may have {limit}")])
    return form


async def check(
    db: Tenant | Transaction, viewer: Viewer, kind: ResourceType, key: str, form: Canonical, *, scripts: Pool
) -> None:
    """Refused(ContentInvalid) with every fault, unless the content is a resource of its type.

    The pure work is done off the event loop: a graph of 500 nodes takes tens of milliseconds.
    """
    try:
        if kind == "component":
            await declared.check(key, form.content, scripts, owner=str(viewer.org_id))
        elif kind == "graph":
            parsed = await asyncio.to_thread(_read_graph, form)
            inner = await graphs.named(db, viewer, parsed)
            keys = {key for each in (parsed, *inner.values()) for key in graph.component_keys(each)}
            known = await components(db, viewer, keys)
            await asyncio.to_thread(_check_graph, parsed, known, inner, key)
    except GraphFaults as error:
        raise invalid(error.faults) from None


async def components(db: Tenant | Transaction, viewer: Viewer, keys: Iterable[str]) -> dict[str, Component]:
    """The components that these keys resolve to for the viewer: the org's own where active, else the mesh's."""
    rows = await db.rows(
        _ComponentRow,
        """
        select distinct on (r.key) r.key, v.content
        from unnest($5::text[]) as w (key)
        cross join lateral (
            select r.org_id, r.id, r.key from catalog.resources r
            where r.org_id in ($1, $2) and r.type = 'component' and r.key = w.key
                and (r.org_id = $1 or r.visibility = 'public')
                and (r.visibility <> 'private' or r.created_by = $3 or r.type || '/' || r.key ~ $4::text) offset 0
        ) r
        join catalog.activations a on a.org_id = r.org_id and a.resource_id = r.id and a.environment = $6
        join catalog.versions v on v.org_id = r.org_id and v.resource_id = r.id and v.number = a.number
        order by r.key, r.org_id = $1 desc
        """,
        viewer.org_id,
        SYSTEM_ORG,
        viewer.principal_id,
        viewer.opens,
        sorted(keys),
        COMPONENTS_FROM,
    )
    return {row.key: msgspec.json.decode(row.content, type=Component) for row in rows}


def _check_graph(
    parsed: Graph, known: Mapping[str, Component], inner: Mapping[GraphUse, Graph], key: str
) -> None:
    """What would keep it from running is found here, and nowhere else: a runtime asks the same library."""
    graph.check(parsed, known, inner, key=key)
    kinds = {name: known[node.component] for name, node in parsed.nodes.items()}
    faults = [
        Fault(graph.pointer("nodes", name, "component"), fault.detail)
        for name, component in kinds.items()
        for fault in graph.unrunnable(component)
    ]
    if faults:
        raise GraphFaults(faults)


def _read_graph(form: Canonical) -> Graph:
    return graph.read_graph(form.content)


def invalid(faults: Iterable[Fault]) -> Refused:
    found = tuple(faults)
    listed = [Fault(_short(fault.pointer), _short(fault.detail)) for fault in found[:_MAX_FAULTS]]
    if len(found) > len(listed):
        listed.append(Fault("", f"these are the first {_MAX_FAULTS} faults"))
    return Refused(ContentInvalid(faults=tuple(listed)))


def _short(text: str) -> str:
    return text if len(text) <= _MAX_CHARS else text[: _MAX_CHARS - 1] + "…"
