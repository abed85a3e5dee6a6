"""One request, one trace: spans of the HTTP request, of the operation on the bus and of its statements, sent by OTLP."""

from __future__ import annotations

import asyncio
import secrets

import aiohttp
import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from polis.telemetry import spans
from polis.testing import eventually


@pytest.fixture
async def collected():
    """The spans that arrive at a collector, decoded from OTLP/HTTP."""
    found = []

    async def take(request: web.Request) -> web.Response:
        batch = ExportTraceServiceRequest.FromString(await request.read())
        found.extend(
            s for resource in batch.resource_spans for scope in resource.scope_spans for s in scope.spans
        )
        return web.Response(body=b"", content_type="application/x-protobuf")

    app = web.Application()
    app.router.add_post("/v1/traces", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    spans.export_to(f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}", "test")
    yield found
    await asyncio.to_thread(spans.shutdown)
    await runner.cleanup()


async def test_a_sampled_request_is_one_trace_over_http_nats_and_sql(ada, address, collected):
    trace_id, parent = secrets.token_hex(16), secrets.token_hex(8)
    headers = {"Authorization": f"Bearer {ada.token}", "traceparent": f"00-{trace_id}-{parent}-01"}

    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{address}/api/v1/resources", headers=headers) as answer,
    ):
        assert answer.status == 200
    ours = await eventually(
        lambda: mine(collected, trace_id) if len(mine(collected, trace_id)) >= 3 else None, within_s=15
    )

    by_name = {span.name: span for span in ours}
    http_span, operation, statement = (
        by_name[n] for n in ("list_resources", "rpc.catalog.list_resources", "postgresql")
    )
    assert http_span.parent_span_id.hex() == parent
    assert operation.parent_span_id == http_span.span_id
    assert statement.parent_span_id == operation.span_id
    texts = [a.value.string_value for s in ours for a in s.attributes]
    assert any("catalog.resources" in text for text in texts)
    assert not any(ada.token in text for text in texts)


async def test_an_unsampled_request_leaves_no_span(ada, address, collected):
    trace_id = secrets.token_hex(16)
    headers = {
        "Authorization": f"Bearer {ada.token}",
        "traceparent": f"00-{trace_id}-{secrets.token_hex(8)}-00",
    }

    async with aiohttp.ClientSession() as http, http.get(f"{address}/api/v1/me", headers=headers) as answer:
        assert answer.status == 200

    assert mine(collected, trace_id) == []


def mine(found, trace_id):
    return [span for span in found if span.trace_id.hex() == trace_id]
