"""Nothing secret leaves by a side door: values that no one else has go in by every operation that takes one, and are then
looked for in logs, spans, events, answers and rows."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import re
from uuid import UUID, uuid4

import asyncpg
import pytest
import structlog
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from polis.cli.api import Api
from polis.proto.identity import LeaseSecret, SignInClient
from polis.proto.registry import SERVICES
from polis.telemetry import configure, spans
from polis.testing import eventually
from tests.e2e.world import new_key

MARK = "CANARY"
"""In everything that nobody may find; each is this, what it is, and random digits."""


class Aviary:
    """What was let go, and what came by where it should not have."""

    def __init__(self) -> None:
        self.known: set[str] = set()
        self.answers: list[str] = []
        self.events: list[str] = []

    def new(self, what: str) -> str:
        secret = f"{MARK}-{what}-{uuid4().hex}"
        self.known.add(secret)
        return secret

    def found_in(self, text: str) -> list[str]:
        """The secrets in a text, plain or in another spelling."""
        spellings = {
            spelling: secret
            for secret in self.known
            for spelling in (
                secret,
                secret.encode().hex(),
                base64.b64encode(secret.encode()).decode()[:-4],
                base64.urlsafe_b64encode(secret.encode()).decode()[:-4],
            )
        }
        return sorted({secret for spelling, secret in spellings.items() if spelling in text})


@pytest.fixture(scope="module")
def log():
    """The log of all services, which start behind this."""
    stream = io.BytesIO()
    configure("mesh", stream=stream)
    yield stream
    structlog.reset_defaults()


@pytest.fixture(scope="module")
async def collected():
    """Everything that arrives at a collector of spans, as text."""
    found: list[str] = []

    async def take(request: web.Request) -> web.Response:
        batch = ExportTraceServiceRequest.FromString(await request.read())
        found.extend(str(resource) for resource in batch.resource_spans)
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


@pytest.fixture(scope="module")
async def mesh(log, collected, stage):
    for service in SERVICES:
        running = await stage.start(service.name)
        running.kernel.requests._stream = log
    return stage


@pytest.fixture(scope="module")
async def aviary(mesh):
    """After a day on which every secret was given, rotated, mistaken and refused."""
    aviary = Aviary()
    bus = await mesh.bus("admin")
    for subject in ("event.>", "live.>", "dead.>"):
        await bus.subscribe(subject, lambda m: aviary.events.append(f"{m.subject} {m.headers} {m.payload!r}"))
    async with Api(f"http://127.0.0.1:{mesh.running['gateway'].port}") as api:
        await a_day(api, aviary, mesh)
    await eventually(lambda: any("secret_rotated" in event for event in aviary.events))
    return aviary


async def a_day(api: Api, aviary: Aviary, mesh) -> None:
    ask = Asker(api, aviary)
    password, passphrase = aviary.new("password"), aviary.new("passphrase")
    account = {"email": f"{new_key()}@example.org", "password": password, "name": "Ada"}
    session = await ask("POST", "/sign-up", account)
    api.token = session["access_token"]
    for secret in (session["access_token"], session["refresh_token"]):
        aviary.known.update((secret, secret.rpartition(".")[2]))
    await ask("POST", "/sign-in", account | {"password": aviary.new("wrong-password")})
    await ask("POST", "/sign-in", account | {"password": [aviary.new("password-in-a-list")]})
    await the_vault(ask, aviary, mesh, passphrase, UUID(session["me"]["principal"]["id"]))
    await clients(ask, aviary)
    await refusals(ask, aviary)


async def the_vault(ask: Asker, aviary: Aviary, mesh, passphrase: str, principal_id: UUID) -> None:
    runtime = await mesh.caller("admin")
    token = await runtime.call(SignInClient("runtime", mesh.credential("runtime")))
    for protection in ("org", "personal", "sealed"):
        opens = {"passphrase": passphrase} if protection == "sealed" else {}
        given = {"name": new_key(), "used_by": ["runtime"], "protection": protection, **opens}
        made = await ask("POST", "/secrets", given | {"value": aviary.new(f"{protection}-value")})
        await ask("POST", "/secrets", given | {"value": aviary.new(f"{protection}-again")})
        path = f"/secrets/{made['id']}"
        await ask("POST", f"{path}/rotate", {"value": aviary.new(f"{protection}-rotated"), **opens})
        if opens:
            await ask("POST", f"{path}/open", {"passphrase": aviary.new("wrong-passphrase")})
            await ask("POST", f"{path}/open", opens)
        leased = await runtime.call(
            LeaseSecret(UUID(made["org_id"]), UUID(made["id"]), principal_id), token=token.access_token
        )
        assert leased.value in aviary.known
        await ask("GET", path)
        await ask("POST", f"{path}/rotate", {"value": {"of": aviary.new(f"{protection}-in-an-object")}})
        await ask("DELETE", path)
    for path in ("/secrets", "/audit", "/audit/verification"):
        await ask("GET", path)


async def clients(ask: Asker, aviary: Aviary) -> None:
    agent = await ask("POST", "/agents", {"key": new_key(), "name": "A"}, shown=("client_secret",))
    client = {"grant_type": "client_credentials", "client_id": agent["client_id"]}
    aviary.known.add(agent["client_secret"])
    good = await ask("POST", "/oauth/token", client | {"client_secret": agent["client_secret"]})
    await ask("POST", "/oauth/token", client | {"client_secret": aviary.new("client-secret")})
    aviary.known.update((good["access_token"], good["access_token"].rpartition(".")[2]))
    for token in (good["access_token"], aviary.new("token"), f"prt_{aviary.new('refresh-token')}"):
        await ask("POST", "/oauth/introspect", {"token": token})
        await ask("POST", "/oauth/revoke", {"token": token})


async def refusals(ask: Asker, aviary: Aviary) -> None:
    """Requests that are refused before they are understood."""
    long = aviary.new("too-long")
    await ask("POST", "/secrets", {"name": new_key(), "value": long * 500, "used_by": ["runtime"]})
    await ask("POST", "/secrets", {"name": "Bad Name", "value": aviary.new("named-badly"), "used_by": ["x"]})
    await ask("POST", "/secrets", [aviary.new("as-a-list")])
    await ask("POST", f"/secrets/{uuid4()}/rotate", {"value": aviary.new("of-nothing")})
    broken = f'{{"name": "x", "value": "{aviary.new("broken-json")}", '.encode()
    await ask.raw("/secrets", broken)
    await ask.raw("/sign-in", b"\xff" + broken)


class Asker:
    """Calls the gateway, sampled into the trace, and keeps what it says but for what it is asked for."""

    TOKENS = ("access_token", "refresh_token")

    def __init__(self, api: Api, aviary: Aviary) -> None:
        self._api, self._aviary = api, aviary

    async def __call__(self, method: str, path: str, body: object = None, *, shown: tuple[str, ...] = ()):
        headers = self._api._headers | self._traced()
        async with self._api._http.request(
            method, f"{self._api.address}/api/v1{path}", json=body, headers=headers
        ) as answer:
            content = await answer.json(content_type=None) if answer.status != 204 else {}
            self._keep(content, answer.headers, shown)
            return content

    async def raw(self, path: str, body: bytes) -> None:
        headers = self._api._headers | self._traced() | {"Content-Type": "application/json"}
        async with self._api._http.post(
            f"{self._api.address}/api/v1{path}", data=body, headers=headers
        ) as answer:
            assert answer.status >= 400
            self._keep(await answer.json(content_type=None), answer.headers, ())

    def _keep(self, content: object, headers: object, shown: tuple[str, ...]) -> None:
        if isinstance(content, dict):
            content = {name: v for name, v in content.items() if name not in (*shown, *self.TOKENS)}
        self._aviary.answers.append(f"{json.dumps(content)} {headers!r}")

    def _traced(self) -> dict[str, str]:
        return {"traceparent": f"00-{uuid4().hex}-{uuid4().hex[:16]}-01"}


async def test_the_day_was_a_busy_one(aviary, log):
    assert len(aviary.known) > 25
    text = log.getvalue().decode()
    for operation in ("create_secret", "rotate_secret", "open_secret", "lease_secret", "trade_credentials"):
        assert f'"operation":"{operation}"' in text


async def test_no_secret_is_in_a_log(aviary, log):
    assert aviary.found_in(log.getvalue().decode()) == []


async def test_no_secret_is_in_a_trace(aviary, collected):
    await eventually(lambda: any("rpc.identity.rotate_secret" in text for text in collected), within_s=15)

    assert aviary.found_in("".join(collected)) == []


async def test_no_secret_is_in_an_event(aviary):
    assert len(aviary.events) > 5
    assert aviary.found_in("".join(aviary.events)) == []


async def test_no_answer_and_no_refusal_repeats_a_secret(aviary):
    assert len(aviary.answers) > 30
    assert aviary.found_in("".join(aviary.answers)) == []


async def test_no_secret_is_in_the_database(aviary, mesh):
    connection = await asyncpg.connect(mesh.database.admin_url)
    tables = await connection.fetch(
        "select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname = any($1)",
        [service.name for service in SERVICES],
    )
    dump = ""
    for table in tables:
        dump += "".join(
            row["line"]
            for row in await connection.fetch(f"select to_jsonb(t)::text as line from {table['name']} t")
        )
    await connection.close()
    # Bytes are shown in hex: as text, too.
    dump += "".join(
        bytes.fromhex(hexed).decode("latin-1") for hexed in re.findall(r'"\\\\x([0-9a-f]+)"', dump)
    )

    assert "secret.rotated" in dump
    assert aviary.found_in(dump) == []


def test_a_secret_would_be_found_in_whatever_spelling():
    aviary = Aviary()
    secret = aviary.new("any")

    for text in (
        f"x{secret}x",
        secret.encode().hex(),
        base64.b64encode(secret.encode()).decode(),
        json.dumps({"a": secret}),
        repr(secret.encode()),
    ):
        assert aviary.found_in(text) == [secret]
