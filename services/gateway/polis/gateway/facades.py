"""Paths that clients of older systems know, each in front of an operation of the contract: names differ, rights do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from starlette.responses import Response
from starlette.routing import Route

from polis.gateway.runs import RUN_BY_NAME
from polis.proto.contract import operation_of
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
from polis.proto.registry import SERVICES
from polis.proto.runtime import CancelRun

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request

    from polis.proto import Operation

BOOTSTRAP = "/api/bootstrap/service"
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
)


def facades() -> Iterator[tuple[str, str, Operation]]:
    """Verb, path, and the operation behind them."""
    for verb, path, request in _OPERATIONS:
        yield verb, path, operation_of(request)
    yield "POST", "/api/run/{graph}", RUN_BY_NAME


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

    return [Route(BOOTSTRAP, bootstrap)]


def _json(value: object) -> Response:
    headers = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
    return Response(msgspec.json.encode(value), media_type="application/json", headers=headers)
