"""Components that reach out, in the whole mesh: a secret of the vault, a file of the catalog, an operation, a host outside."""

from __future__ import annotations

import asyncio
import io

import asyncpg
import pytest
import structlog
from aiohttp import web

from polis.cli.api import Problem
from polis.proto.registry import SERVICES
from polis.telemetry import configure

TOKEN = "a-secret-that-stands-nowhere"


@pytest.fixture(scope="module")
async def outside():
    """A host that wants a token, and gives a file for it."""
    asked = []

    async def answer(request):
        asked.append(dict(request.headers))
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.json_response({"you": request.headers.get("Authorization")}, status=401)
        return web.Response(text=f"id,name\n1,Ada\n2,=cmd({TOKEN})\n", content_type="text/csv")

    app = web.Application()
    app.router.add_get("/orders", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield site._server.sockets[0].getsockname()[1], asked
    await runner.cleanup()


@pytest.fixture(scope="module")
async def mesh(stage, outside):
    for service in SERVICES:
        more = {"egress_allow": f"127.0.0.1:{outside[0]}"} if service.name == "runtime" else {}
        await stage.start(service.name, **more)
    return stage


def graph(port: int, secret_id: str) -> dict[str, object]:
    """Orders of a host, as rows, as a spreadsheet of the org; then the org's files are listed, and it is told."""
    nodes = {
        "ask": {"component": "http.request", "config": {"url": f"http://127.0.0.1:{port}/orders", "credential": {"secret_id": secret_id}}},
        "body": {"component": "map", "config": {"expression": "item.body"}},
        "rows": {"component": "csv.parse"},
        "file": {"component": "sheet.write", "config": {"name": "orders.xlsx"}},
        "read": {"component": "sheet.read"},
        "none": {"component": "map", "config": {"expression": "{'limit': 1}"}},
        "list": {"component": "service.call", "config": {"operation": "catalog.list_artifacts"}},
        "tell": {"component": "event.emit", "config": {"topic": "orders.fetched", "data": "{'rows': size(item.rows)}"}},
    }  # fmt: skip
    edges = ["ask.out body.in", "body.out rows.in", "rows.out file.in", "file.out read.in", "read.out tell.in", "file.out none.in", "none.out list.in"]  # fmt: skip
    return {
        "nodes": nodes,
        "edges": [dict(zip(("source", "target"), edge.split(), strict=True)) for edge in edges],
        "inputs": {"x": {"target": "ask.in"}},
        "outputs": {
            "rows": {"source": "tell.out"}, "listed": {"source": "list.out"}, "file": {"source": "file.out"},
        },
    }  # fmt: skip


async def publish(api, key, content):
    made = await api.call("POST", "/resources", {"type": "graph", "key": key, "content": content})
    await api.call("POST", f"/resources/{made['id']}/versions", {})
    await api.call("PUT", f"/resources/{made['id']}/activations/production", {"number": 1})


async def ended(api, key, value):
    run = await api.call("POST", "/runs", {"graph": key, "input": {"x": value}})
    while run["state"] not in ("succeeded", "failed", "cancelled"):
        await asyncio.sleep(0.02)
        run = await api.call("GET", f"/runs/{run['id']}")
    return run


@pytest.fixture
def log():
    """What all services log meanwhile."""
    stream = io.BytesIO()
    configure("mesh", stream=stream)
    yield stream
    structlog.reset_defaults()


async def test_a_run_reaches_out_by_a_secret_and_keeps_what_it_got_and_the_secret_stands_nowhere(
    ada, mesh, outside, log
):
    port, asked = outside
    secret = await ada.call("POST", "/secrets", {"name": "orders", "value": TOKEN, "used_by": ["runtime"], "protection": "org"})  # fmt: skip
    await publish(ada, "orders", graph(port, secret["id"]))

    run = await ended(ada, "orders", {})

    assert (run["state"], run.get("error")) == ("succeeded", None)
    assert asked[0]["Authorization"] == f"Bearer {TOKEN}"
    output = (await ada.call("GET", f"/runs/{run['id']}/output"))["values"]
    assert output["rows"]["rows"] == [{"id": "1", "name": "Ada"}, {"id": "2", "name": "=cmd([secret])"}]
    (listed,) = output["listed"]["items"]
    assert (listed["id"], listed["name"]) == (output["file"]["artifact_id"], "orders.xlsx")
    await _stands_nowhere(mesh)
    told = log.getvalue().decode()
    assert "run.ended" in told
    assert TOKEN not in told


async def _stands_nowhere(mesh):
    admin = await asyncpg.connect(mesh.database.admin_url)
    try:
        tables = await admin.fetch(
            "select format('%I.%I', table_schema, table_name) t from information_schema.tables"
            " where table_schema in ('runtime', 'catalog', 'identity', 'gateway') and table_type = 'BASE TABLE'"
        )
        hex_of = TOKEN.encode().hex()
        for row in tables:
            found = await admin.fetchval(
                f"select count(*) from {row['t']} r where r::text like $1 or r::text like $2",
                f"%{TOKEN}%",
                f"%{hex_of}%",
            )
            assert found == 0, row["t"]
    finally:
        await admin.close()


@pytest.mark.parametrize(
    ("config", "place"),
    [
        (
            {"component": "http.request", "config": {"url": "x", "timeout_s": 301}},
            "/nodes/n/config/timeout_s",
        ),
        (
            {"component": "aggregate", "config": {"measures": {"a": {"op": "median"}}}},
            "/nodes/n/config/measures/a/op",
        ),
        ({"component": "csv.parse", "config": {"rows": 1}}, "/nodes/n/config/rows"),
        ({"component": "csv.pares"}, "/nodes/n/component"),
    ],
)
async def test_a_graph_with_a_component_that_is_unknown_or_wrongly_set_is_refused_when_it_is_written(
    config, place, ada
):
    content = {"nodes": {"n": config}, "inputs": {"x": {"target": "n.in"}}}

    with pytest.raises(Problem) as failure:
        await publish(ada, "wrong", content)

    assert place in str(failure.value.content)
