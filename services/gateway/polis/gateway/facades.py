"""Paths that clients of older systems know, each in front of an operation of the contract: names differ, rights do not.

What such a path says by being that path stands in the request as if the client had said it: a workflow is a graph.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from starlette.responses import Response
from starlette.routing import Route

from polis.gateway.hooks import EVENT_BY_NAME
from polis.gateway.runs import RUN_BY_NAME
from polis.proto.catalog import (
    CreateChangeSet,
    CreateResource,
    DeleteResource,
    GetDraft,
    PutDraft,
    RestoreMoment,
    SearchResources,
)
from polis.proto.contract import events, operation_of, operations
from polis.proto.documents import DOCUMENTS
from polis.proto.identity import (
    CreateAgent,
    CreateSecret,
    DeleteAgent,
    DeleteSecret,
    GetAgent,
    GetSecret,
    ListAgents,
    ListSecrets,
    RotateSecret,
    UpdateAgent,
)
from polis.proto.messaging import PullMissed
from polis.proto.registry import SERVICES
from polis.proto.runtime import CancelRun, ListRuns, PauseRun, ResumeRun

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request

    from polis.proto import Operation

BOOTSTRAP = "/api/bootstrap/service"
ARCHITECTURE = "/api/system/architecture"
STREAM = "/api/stream"
"""`?npc=<agent>`: what is told of an agent, as server-sent events."""
OPEN = frozenset({BOOTSTRAP, ARCHITECTURE})
"""What needs no token: it is told in the documents, too."""
_OPERATIONS: tuple[tuple[str, str, type], ...] = (
    *(
        (verb, path.format(records), request)
        for records in ("npcs", "agents")
        for verb, path, request in (
            ("GET", "/api/{}", ListAgents),
            ("POST", "/api/{}", CreateAgent),
            ("GET", "/api/{}/{{agent}}", GetAgent),
            ("PUT", "/api/{}/{{agent}}", UpdateAgent),
            ("DELETE", "/api/{}/{{agent}}", DeleteAgent),
        )
    ),
    ("GET", "/api/credentials", ListSecrets),
    ("POST", "/api/credentials", CreateSecret),
    ("GET", "/api/credentials/{secret_id}", GetSecret),
    ("PUT", "/api/credentials/{secret_id}", RotateSecret),
    ("DELETE", "/api/credentials/{secret_id}", DeleteSecret),
    ("POST", "/api/tasks/{run_id}/cancel", CancelRun),
    ("POST", "/api/tasks/{run_id}/pause", PauseRun),
    ("POST", "/api/tasks/{run_id}/resume", ResumeRun),
    ("POST", "/api/sync", PullMissed),
    ("POST", "/api/system/modify", CreateChangeSet),
    ("POST", "/api/system/rollback", RestoreMoment),
)
_SAYING: tuple[tuple[str, str, type, dict[str, str]], ...] = (
    ("GET", "/api/workflows", SearchResources, {"type": "graph"}),
    ("POST", "/api/workflows", CreateResource, {"type": "graph"}),
    ("GET", "/api/workflows/{resource_id}", GetDraft, {"type": "graph"}),
    ("PUT", "/api/workflows/{resource_id}", PutDraft, {"type": "graph"}),
    ("DELETE", "/api/workflows/{resource_id}", DeleteResource, {"type": "graph"}),
    ("GET", "/api/agents/{agent}/status", ListRuns, {"limit": "1"}),
)


def facades() -> Iterator[tuple[str, str, Operation, dict[str, str]]]:
    """Verb, path, the operation behind them, and what of its request they say."""
    for verb, path, request in _OPERATIONS:
        yield verb, path, operation_of(request), {}
    for verb, path, request, said in _SAYING:
        yield verb, path, operation_of(request), said
    yield "POST", "/api/run/{graph}", RUN_BY_NAME, {}
    yield "POST", "/api/events", EVENT_BY_NAME, {}
    yield "POST", "/api/agents/{npc}/execute", RUN_BY_NAME, {}


def facade_routes() -> list[Route]:
    """What a client asks before it has a token: where everything lies."""

    async def bootstrap(_: Request) -> Response:
        return _json(
            {
                "name": "polis",
                "api": "/api/v1",
                "live": "/api/v1/live",
                "sign_in": "/api/v1/sign-in",
                "jwks": "/api/v1/jwks",
                "health": "/health/ready",
                "reference": "/docs",
                "documents": [f"/docs/{name}" for name in DOCUMENTS],
                "services": [service.name for service in SERVICES],
            }
        )

    drawn = _architecture()

    async def architecture(_: Request) -> Response:
        return _json(drawn)

    return [Route(BOOTSTRAP, bootstrap), Route(ARCHITECTURE, architecture)]


def _architecture() -> dict[str, object]:
    """The services as nodes; as edges whose requests and events each of them takes from which other."""
    names = [service.name for service in SERVICES]
    calls = (
        {"from": caller, "to": name, "kind": "calls", "of": told}
        for name in names
        for caller in names
        if caller != name and (told := [o.name for o in operations(name) if o.callable_by(caller)])
    )
    hears = (
        {"from": name, "to": listener, "kind": "tells", "of": told}
        for name in names
        for listener in names
        if (told := [e.fact for e in events(name) if listener in e.listeners])
    )
    nodes = [{"id": s.name, "operations": len(operations(s.name)), "stores": s.schema} for s in SERVICES]
    return {"nodes": nodes, "edges": [*calls, *hears]}


def _json(value: object) -> Response:
    headers = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
    return Response(msgspec.json.encode(value), media_type="application/json", headers=headers)
