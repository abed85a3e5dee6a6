"""The audit log from outside: verified by command, exported line by line."""

from __future__ import annotations

import io
import json

import aiohttp
import asyncpg
import pytest
from rich.console import Console

from polis.cli.api import Api, Problem
from polis.cli.audit import verify
from polis.testing import eventually
from tests.e2e.world import new_key


@pytest.fixture
def told():
    return Console(file=io.StringIO(), width=200)


@pytest.fixture
async def busy(ada):
    """Somebody in whose org things were done."""
    for _ in range(3):
        await ada.call("POST", "/secrets", {"name": new_key(), "value": "x", "used_by": ["runtime"]})
    return ada


async def test_the_command_tells_that_all_is_well_and_what_to_note_down(busy, told):
    assert await verify(busy, "", told) == 0
    lines = told.file.getvalue().splitlines()

    assert lines[0].startswith("Records 1 to ")
    await busy.call("POST", "/secrets", {"name": new_key(), "value": "x", "used_by": ["runtime"]})
    assert await verify(busy, lines[1], told) == 0


async def test_the_command_names_the_broken_record(busy, told, mesh):
    org = (await busy.call("GET", "/me"))["org_id"]
    admin = await asyncpg.connect(mesh.database.admin_url)
    await admin.execute("update identity.audit set actor_id = null where org_id = $1 and n = 2", org)
    await admin.close()

    assert await verify(busy, "", told) == 1
    assert told.file.getvalue().startswith("Record 2 is not what was written")


async def test_who_announced_something_is_told_and_not_what(busy):
    me = await busy.call("GET", "/me")
    not_told = [me["principal"]["id"]]
    made = await busy.call("POST", "/announcements", {"text": "We are back.", "except_for": not_told})

    async def look():
        return (await busy.call("GET", "/audit?action=announcement.made"))["items"]

    (record,) = await eventually(look, within_s=10)
    told = {name: record[name] for name in ("actor_id", "subject", "detail", "at")}
    assert told == {
        "actor_id": not_told[0],
        "subject": made["id"],
        "detail": {"except_for": "1"},
        "at": made["announced_at"],
    }


async def test_an_export_is_lines_of_json(busy, address):
    async with (
        aiohttp.ClientSession() as http,
        http.get(
            f"{address}/api/v1/audit/export", headers={"Authorization": f"Bearer {busy.token}"}
        ) as answer,
    ):
        assert (answer.status, answer.content_type) == (200, "application/jsonl")
        records = [json.loads(line) for line in (await answer.text()).splitlines()]

    assert [record["n"] for record in records] == list(range(1, len(records) + 1))
    assert [record["action"] for record in records].count("secret.created") == 3


async def test_who_may_not_export_is_told_so_before_a_line_is_sent(address):
    async with aiohttp.ClientSession() as http, http.get(f"{address}/api/v1/audit/export") as answer:
        assert answer.status == 401


async def test_who_was_refused_by_the_gateway_or_by_a_service_is_in_the_log(ada, address):
    me = await ada.call("GET", "/me")
    agent = await ada.call("POST", "/agents", {"key": "sarah", "name": "Sarah"})
    client = {key: agent[key] for key in ("client_id", "client_secret")}
    async with Api(address) as sarah:
        sarah.token = (await ada.call("POST", "/token", client))["access_token"]
        for method, path, body in (
            ("GET", "/audit", None),
            ("GET", "/audit", None),
            ("POST", "/orgs", {"name": "X"}),
        ):
            with pytest.raises(Problem):
                await sarah.call(method, path, body)

    async def denied():
        told = await ada.call("GET", "/audit?action=access.denied")
        return sorted((r["subject"], *r["detail"].values()) for r in told["items"])

    assert await eventually(lambda: two(denied)) == [
        ("create_org", "identity", "session", "1"), ("list_audit", "gateway", "identity:audit", "2"),
    ]  # fmt: skip
    assert me["org_id"] == agent["agent"]["org_id"]


async def two(denied):
    found = await denied()
    return found if len(found) == 2 else None


async def test_oauth_endpoints_take_forms(address, ada):
    agent = await ada.call("POST", "/agents", {"key": "sarah", "name": "Sarah"})
    form = {
        "grant_type": "client_credentials",
        "client_id": agent["client_id"],
        "client_secret": agent["client_secret"],
    }
    async with aiohttp.ClientSession() as http:
        async with http.post(f"{address}/api/v1/oauth/token", data=form) as answer:
            token = await answer.json()
            assert (answer.status, token["token_type"]) == (200, "Bearer")
        bearer = {"Authorization": f"Bearer {ada.token}"}
        asked = {"token": token["access_token"]}
        async with http.post(f"{address}/api/v1/oauth/introspect", data=asked, headers=bearer) as answer:
            assert (await answer.json())["active"] is True
        async with http.post(f"{address}/api/v1/oauth/revoke", data=asked) as answer:
            assert answer.status == 200
        async with http.post(f"{address}/api/v1/oauth/introspect", data=asked, headers=bearer) as answer:
            assert await answer.json() == {"active": False}
