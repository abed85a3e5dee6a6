"""What the public origin does with requests, good and bad."""

from __future__ import annotations

import asyncio
import hashlib

import aiohttp
import pytest

from polis.cli.api import Problem
from polis.proto.catalog import MAX_ARTIFACT_BYTES
from polis.testing import eventually

MALFORMED = [
    ("POST", "/sign-up", b"{", "application/json", 400, "/problems/malformed"),
    ("POST", "/sign-up", b"a=b", "application/x-www-form-urlencoded", 415, "/problems/unsupported-media"),
    ("POST", "/sign-up", b'{"email": 1}', "application/json", 422, "/problems/invalid"),
    ("GET", "/nothing", None, None, 404, "/problems/not-found"),
    ("PUT", "/runs", None, None, 405, "/problems/method-not-allowed"),
    ("POST", "/live", None, None, 405, "/problems/method-not-allowed"),
    ("GET", "/me", None, None, 401, "/problems/unauthenticated"),
]


@pytest.mark.parametrize(("method", "path", "body", "media_type", "status", "kind"), MALFORMED)
async def test_bad_input_gets_its_own_problem(address, method, path, body, media_type, status, kind):
    headers = {"Content-Type": media_type} if media_type else {}
    async with (
        aiohttp.ClientSession() as http,
        http.request(method, f"{address}/api/v1{path}", data=body, headers=headers) as answer,
    ):
        problem = await answer.json()

    assert (answer.status, problem["type"]) == (status, kind)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_forged_token_is_refused(api):
    api.token = "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0."

    with pytest.raises(Problem) as refusal:
        await api.call("GET", "/me")

    assert refusal.value.content["type"] == "/problems/unauthenticated"


async def test_another_org_cannot_be_selected(ada, address):
    headers = {"Authorization": f"Bearer {ada.token}", "X-Org-Id": "0190c0de-0000-7000-8000-000000000001"}
    async with aiohttp.ClientSession() as http, http.get(f"{address}/api/v1/me", headers=headers) as answer:
        problem = await answer.json()

    assert (answer.status, problem["type"]) == (403, "/problems/forbidden")


async def test_a_body_over_the_limit_is_refused_before_it_is_sent(ada, address):
    headers = {"Authorization": f"Bearer {ada.token}", "Content-Length": str(200 * 1024 * 1024)}
    host, port = address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    lines = [
        "POST /api/v1/artifacts?name=big HTTP/1.1",
        f"Host: {host}",
        *(f"{k}: {v}" for k, v in headers.items()),
    ]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
    status = await asyncio.wait_for(reader.readline(), 30)
    writer.close()

    assert b" 413 " in status
    assert (await ada.call("GET", "/artifacts"))["items"] == []


async def test_a_file_comes_back_as_it_went(ada, address, tmp_path):
    content = bytes(range(256)) * 12_345
    file = tmp_path / "ünïcode name.bin"
    file.write_bytes(content)

    artifact = await ada.upload(file, name=file.name, media_type="application/octet-stream")
    headers = {"Authorization": f"Bearer {ada.token}"}
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{address}/api/v1/artifacts/{artifact['id']}/content", headers=headers) as answer,
    ):
        back = await answer.read()

    assert artifact["sha256"] == hashlib.sha256(content).hexdigest()
    assert back == content
    assert answer.headers["content-disposition"].startswith("attachment")


async def test_a_file_with_a_wrong_checksum_is_not_stored(ada, address):
    headers = {"Authorization": f"Bearer {ada.token}", "Content-Type": "application/octet-stream"}
    url = f"{address}/api/v1/artifacts?name=x&sha256={'0' * 64}"
    async with aiohttp.ClientSession() as http, http.post(url, data=b"abc", headers=headers) as answer:
        problem = await answer.json()

    assert (answer.status, problem["type"]) == (422, "/problems/catalog/upload-incomplete")
    assert (await ada.call("GET", "/artifacts"))["items"] == []


async def test_an_upload_without_a_length_is_refused(ada, address):
    async def chunks():
        yield b"abc"

    headers = {"Authorization": f"Bearer {ada.token}"}
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{address}/api/v1/artifacts?name=x", data=chunks(), headers=headers) as answer,
    ):
        assert answer.status == 411


async def test_the_largest_file_is_a_hundred_mebibytes():
    assert MAX_ARTIFACT_BYTES == 100 * 1024 * 1024


async def test_a_session_that_ended_is_refused_within_a_second(ada):
    await ada.call("POST", "/sign-out")

    async def refused():
        try:
            await ada.call("GET", "/me")
        except Problem as refusal:
            return refusal.content["status"] == 401

    await eventually(refused, within_s=1)


async def test_the_same_key_gives_the_same_answer_and_another_body_is_refused(ada, address):
    headers = {"Authorization": f"Bearer {ada.token}", "Idempotency-Key": "one"}
    url = f"{address}/api/v1/agents"
    async with aiohttp.ClientSession() as http:
        async with http.post(url, json={"key": "sarah", "name": "Sarah"}, headers=headers) as answer:
            first = await answer.json()
        async with http.post(url, json={"key": "sarah", "name": "Sarah"}, headers=headers) as answer:
            second = await answer.json()
        async with http.post(url, json={"key": "peter", "name": "Peter"}, headers=headers) as answer:
            third = await answer.json()

    assert first == second
    assert third["type"] == "/problems/key-reused"


async def test_a_cookie_session_needs_its_csrf_token_and_a_page_of_this_origin(api, address):
    email, password = await api.sign_up()
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        async with http.post(
            f"{address}/api/v1/session", json={"email": email, "password": password}
        ) as answer:
            csrf = (await answer.json())["csrf_token"]
            cookies = answer.headers.getall("set-cookie")
        body = {"key": "sarah", "name": "Sarah"}
        async with http.post(f"{address}/api/v1/agents", json=body) as without:
            pass
        foreign = {"X-CSRF-Token": csrf, "Origin": "https://evil.example"}
        async with http.post(f"{address}/api/v1/agents", json=body, headers=foreign) as elsewhere:
            pass
        async with http.post(f"{address}/api/v1/agents", json=body, headers={"X-CSRF-Token": csrf}) as proper:
            pass
        async with http.get(f"{address}/api/v1/session") as session:
            again = (await session.json())["csrf_token"]
        async with http.post(f"{address}/api/v1/session/refresh") as refreshed:
            pass
        async with http.delete(f"{address}/api/v1/session", headers={"X-CSRF-Token": csrf}) as stale:
            pass

    assert all("HttpOnly" in cookie and "SameSite=Strict" in cookie for cookie in cookies)
    assert (without.status, elsewhere.status, proper.status) == (403, 403, 200)
    assert again == csrf
    assert refreshed.status == 200
    assert stale.status == 403


@pytest.mark.parametrize(
    "path",
    [
        "/health/live",
        "/health/ready",
        "/metrics",
        "/docs/openapi.json",
        "/docs/llms.txt",
        "/docs/llms-full.txt",
        "/",
    ],
)
async def test_it_tells_of_itself(address, path):
    """As soon as it is ready: it has to hear the other services first."""
    async with aiohttp.ClientSession() as http:

        async def told():
            async with http.get(address + path) as answer:
                return await answer.read() if answer.status == 200 else b""

        assert await eventually(told)


async def test_a_page_may_load_nothing_from_elsewhere(address):
    async with aiohttp.ClientSession() as http, http.get(address + "/") as answer:
        policy = answer.headers["content-security-policy"]

    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


async def test_an_older_client_runs_a_graph_by_its_name_as_an_agent(ada, address):
    await ada.call("POST", "/agents", {"key": "sarah", "name": "Sarah"})
    headers = {"Authorization": f"Bearer {ada.token}", "Idempotency-Key": "once"}
    mailbox = {"artifact_id": "0190c0de-0000-7000-8000-000000000001", "name": "none.mbox"}
    asked = {"payload": {"mailbox": mailbox}, "npc": "sarah"}
    async with aiohttp.ClientSession(address, headers=headers) as http:
        async with http.post("/api/run/email-digest", json=asked) as accepted:
            run = await accepted.json()
        async with http.post("/api/run/email-digest", json=asked) as again:
            assert (await again.json())["id"] == run["id"]
        other = {"graph": "email-digest", "payload": asked["payload"]}
        execute = {"json": other, "headers": {"Idempotency-Key": "execute"}}
        async with http.post("/api/agents/sarah/execute", **execute) as executed:
            latest = await executed.json()
        for agent in ("sarah", "1", run["actor_id"]):
            async with http.get(f"/api/agents/{agent}/status") as status:
                assert [r["id"] for r in (await status.json())["items"]] == [latest["id"]]
        async with http.get(accepted.headers["location"]) as found:
            assert (await found.json())["actor_id"] == run["actor_id"] != run["started_by"]
        async with http.post("/api/run/nothing", json={}, headers={"Idempotency-Key": "other"}) as unknown:
            pass
        for environment, status in (("staging", 404), ("Not One", 422)):
            elsewhere = {"Idempotency-Key": environment, "X-Env": environment}
            async with http.post("/api/run/email-digest", json=asked, headers=elsewhere) as refused:
                assert refused.status == status, await refused.text()
        async with http.post("/api/run/email-digest", json={"input": {}}) as wrong:
            assert "/input" in await wrong.text()
        steered = []
        for verb in ("pause", "resume", "cancel"):
            async with http.post(f"/api/tasks/{run['id']}/{verb}", headers={"Idempotency-Key": verb}) as told:
                steered.append(told.status)
    async with aiohttp.ClientSession() as nobody, nobody.post(f"{address}/api/run/email-digest") as anonymous:
        pass

    assert (accepted.status, again.status, found.status, unknown.status, wrong.status) == (
        202,
        202,
        200,
        404,
        422,
    )
    assert set(steered) <= {200, 409}  # the run may have failed by then, for want of its mailbox
    assert anonymous.status == 401


async def test_an_older_client_follows_what_is_told_of_an_agent(ada, address):
    await ada.call("POST", "/agents", {"key": "sarah", "name": "Sarah"})
    async with aiohttp.ClientSession(address, headers={"Authorization": f"Bearer {ada.token}"}) as http:
        async with http.get("/api/stream?npc=sarah") as answer:
            begun = await answer.content.readuntil(b"\n\n")
            step = {"npc": "sarah", "type": "step", "data": {"step": "Reading mail", "progress": 33}}
            async with http.post("/api/events", json=step) as told:
                assert told.status == 202
            change = b""
            while b"Reading mail" not in change:  # that the agent was created may be told late
                change = await asyncio.wait_for(answer.content.readuntil(b"\n\n"), 30)
        async with http.get("/api/stream?npc=nobody") as unknown:
            pass

    assert b"event: snapshot" in begun
    assert b"event: change" in change
    assert unknown.status == 404
