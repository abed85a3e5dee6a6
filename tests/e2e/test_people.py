"""What ends a session ends it everywhere within five seconds: in every service, and in every open socket."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import aiohttp
import asyncpg
import pytest

from polis.cli.api import Api, Problem
from polis.proto.contract import operations
from polis.proto.problems import Unauthenticated
from polis.proto.registry import SERVICES
from polis.testing import eventually

WITHIN_S = 5.0
NEW = "another long password"
REASON = "Ticket 4711 of this account"


@pytest.fixture
async def http():
    async with aiohttp.ClientSession(headers={"User-Agent": "Tests/1"}) as http:
        yield http


@pytest.fixture
async def account(api):
    """E-mail address and password of somebody, and the client where they signed up."""
    email, password = await api.sign_up()
    return api, {"email": email, "password": password}


@pytest.fixture
async def other(account, address, http):
    """The same person, signed in on another device."""
    _, login = account
    async with http.post(f"{address}/api/v1/sign-in", json=login) as answer:
        return await answer.json()


@pytest.fixture
async def root(address, stage):
    """An administrator of the mesh."""
    async with Api(address) as root:
        await root.sign_up(name="Root")
        me = await root.call("GET", "/me")
        database = await asyncpg.connect(stage.database.admin_url)
        await database.execute(
            "insert into identity.administrators (account_id, since) values ($1, now())",
            UUID(me["principal"]["id"]),
        )
        await database.close()
        yield root


async def end_one(api, _login, _root):
    listed = (await api.call("GET", "/sessions"))["items"]
    assert {s["device"] for s in listed} >= {"Tests/1"}
    assert {s["address"] for s in listed} == {"127.0.0.1"}
    await api.call("DELETE", f"/sessions/{next(s['id'] for s in listed if s['device'] == 'Tests/1')}")


async def end_others(api, _login, _root):
    await api.call("DELETE", "/sessions")


async def change_password(api, login, _root):
    await api.call("POST", "/me/password", {"old_password": login["password"], "new_password": NEW})


async def reset_password(api, login, root):
    await api.call("POST", "/password/forgotten", {"email": login["email"]})

    async def arrived():
        return [mail for mail in (await root.call("GET", "/mails"))["items"] if mail["to"] == login["email"]]

    [mail] = await eventually(arrived)
    token = mail["text"].partition("/reset-password#")[2].split()[0]
    await api.call("POST", "/password/reset", {"token": token, "password": NEW})


async def suspend(api, _login, root):
    account_id = (await api.call("GET", "/me"))["principal"]["id"]
    await root.call("POST", f"/accounts/{account_id}/suspend", {"reason": REASON})


async def takers(caller, token):
    """The services that still take a token, asked on the bus: the gateway is not the one wall."""
    taken = []
    for service in SERVICES:
        operation = next(
            (
                o
                for o in operations(service.name)
                if o.verb == "GET" and not o.streams and o.scope != "public"
            ),
            None,
        )
        if operation is None or operation.local:
            continue
        reply = await caller.send(operation, b"{}", {"Polis-Actor": token}, timeout_s=5.0)
        if Unauthenticated.type.encode() not in reply.payload:
            taken.append(service.name)
    return taken


@pytest.mark.parametrize("end", [end_one, end_others, change_password, reset_password, suspend])
async def test_it_is_refused_by_every_service_and_its_socket_is_closed(
    account, other, address, http, mesh, root, end
):
    api, login = account
    caller = await mesh.caller("admin")
    token = other["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    socket = await http.ws_connect(f"{address}/api/v1/live", headers=headers)
    assert len(await takers(caller, token)) >= 3, "it was taken before"

    await end(api, login, root)

    async with asyncio.timeout(30):
        assert (await socket.receive()).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
    assert socket.close_code == 4401

    async def nobody_takes_it():
        return not await takers(caller, token)

    await eventually(nobody_takes_it, within_s=WITHIN_S)
    async with http.get(f"{address}/api/v1/me", headers=headers) as answer:
        assert answer.status == 401
    body = {"refresh_token": other["refresh_token"]}
    async with http.post(f"{address}/api/v1/sessions/refresh", json=body) as answer:
        assert answer.status == 401


async def test_an_administrator_enters_an_org_and_the_org_reads_why(account, root):
    api, _ = account
    org_id = (await api.call("GET", "/me"))["org_id"]

    entered = await root.call("POST", "/administrators/access", {"org_id": org_id, "reason": REASON})

    async with Api(root.address, entered["access_token"]) as inside:
        assert (await inside.call("GET", "/me"))["role"] == "administrator"
        assert len((await inside.call("GET", "/members"))["items"]) == 1
    records = (await api.call("GET", "/audit"))["items"]
    assert REASON in str([r for r in records if r["action"] == "org.entered"])


async def test_nobody_without_that_right_enters(account, root):
    api, _ = account
    org_id = (await root.call("GET", "/me"))["org_id"]

    with pytest.raises(Problem, match="lacks the grant"):
        await api.call("POST", "/administrators/access", {"org_id": org_id, "reason": REASON})


class TestNobodyLearnsWhoExists:
    """Status, headers and body are the same for every account that is, is not, is suspended, or cannot be."""

    @pytest.fixture
    async def accounts(self, account, address, root):
        """An address of each kind."""
        _, login = account
        async with Api(address) as suspended:
            email, _ = await suspended.sign_up()
            await suspend(suspended, None, root)
        return {
            "known": login["email"],
            "spelled": f" {login['email'].upper()}",
            "unknown": f"{uuid4().hex}@example.org",
            "suspended": email,
            "empty": "",
            "none": "no address",
            "longest": "x" * 254,
        }

    @pytest.fixture
    def told(self, http, address):
        """All that an answer tells, without what differs from request to request."""

        async def told(path, body):
            async with http.post(f"{address}/api/v1{path}", json=body) as answer:
                text = await answer.text()
                named = answer.headers["X-Request-Id"]
                varying = {"date", "x-request-id", "ratelimit", "ratelimit-policy"}
                headers = {k: v for k, v in answer.headers.items() if k.lower() not in varying}
                return answer.status, text.replace(named, ""), headers

        return told

    @pytest.mark.parametrize(
        ("path", "more", "status"),
        [
            ("/sign-in", {"password": "wrong"}, 401),
            ("/sign-in", {"password": ""}, 401),
            ("/sign-in", {"password": "x" * 256}, 401),
            ("/sign-in", {"password": "x" * 257}, 422),
            ("/session", {"password": "wrong"}, 401),
            ("/password/forgotten", {}, 204),
        ],
    )
    async def test_by_what_is_answered(self, accounts, told, path, more, status):
        answers = {kind: await told(path, {"email": email} | more) for kind, email in accounts.items()}

        assert answers["known"][0] == status
        assert {kind for kind, answer in answers.items() if answer != answers["known"]} == set()

    async def test_too_long_an_address_is_none_of_anybody(self, told):
        answers = [
            await told(path, {"email": "x" * 255, "password": "wrong"}) for path in ("/sign-in", "/session")
        ]

        assert [status for status, _, _ in answers] == [422, 422]

    async def test_by_tokens_that_were_never_given(self, told):
        """Of each length and look."""
        for path, field, more in (
            ("/password/reset", "token", {"password": NEW}),
            ("/sign-in/second-factor", "ticket", {"code": "000000"}),
            ("/sessions/refresh", "refresh_token", {}),
        ):
            looks = ("x", "x" * 4096, "ppr_" + "A" * 43, "pst_" + "A" * 43, "prt_" + "A" * 43)
            answers = [await told(path, {field: token} | more) for token in looks]
            assert all(answer == answers[0] for answer in answers), path
