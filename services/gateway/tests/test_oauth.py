"""What clients of OAuth2 send and are told: forms, HTTP Basic, and refusals by the names of RFC 6749, 7009 and 7662."""

from __future__ import annotations

import json
import re

import aiohttp
import pytest

from polis.cli.api import Api
from polis.gateway.oauth import with_error
from polis.proto.identity import InvalidScope
from polis.proto.problems import Internal, Overloaded, Unavailable
from polis.service.wire import encode_problem

FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
async def address(stage):
    await stage.start("identity")
    running = await stage.start("gateway")
    return f"http://127.0.0.1:{running.port}"


@pytest.fixture(scope="module")
async def ada(address):
    async with Api(address) as api:
        await api.sign_up()
        yield api


async def test_a_client_trades_its_credentials_by_form_and_basic_as_oauth2_has_it(ada, address):
    made = await ada.call("POST", "/agents", {"key": "client", "name": "Client"})
    basic = {"Authorization": aiohttp.encode_basic_auth(made["client_id"], made["client_secret"])}
    stranger = {"Authorization": aiohttp.encode_basic_auth("client", "wrong")}
    form = {"grant_type": "client_credentials", "unknown": "is ignored"}
    url = f"{address}/api/v1/oauth"
    async with aiohttp.ClientSession() as http:
        async with http.post(f"{url}/token", data=form, headers=basic) as traded:
            token = (await traded.json())["access_token"]
        inside = form | {"client_id": made["client_id"], "client_secret": made["client_secret"]}
        async with http.post(f"{url}/token", data=inside) as also:
            pass
        async with http.post(f"{url}/token", data=form, headers=stranger) as wrong:
            pass
        unknown = form | {"client_id": "client", "client_secret": "wrong"}
        async with http.post(f"{url}/token", data=unknown) as inside_wrong:
            pass
        async with http.post(f"{url}/token", data=[*form.items(), *form.items()], headers=basic) as twice:
            pass
        bearer = {"Authorization": f"Bearer {token}"}
        async with http.post(f"{url}/introspect", data={"token": token}, headers=bearer) as told:
            introspection = await told.json()

    assert (traded.status, also.status, wrong.status, twice.status) == (200, 200, 401, 400)
    assert [refused.headers["www-authenticate"].split()[0] for refused in (wrong, inside_wrong)] == [
        "Basic",
        "Bearer",
    ]
    assert introspection["active"] is True


async def test_a_resource_server_introspects_with_its_own_credentials_until_they_are_taken_back(ada, address):
    made = await ada.call("POST", "/agents", {"key": "guard", "name": "Guard"})
    url, headers = f"{address}/api/v1/oauth/introspect", {}

    async def introspected(http):
        async with http.post(url, data={"token": ada.token}, headers=headers) as told:
            return told.status, (await told.json(content_type=None)).get("active"), told.headers

    async with aiohttp.ClientSession() as http:
        headers["Authorization"] = aiohttp.encode_basic_auth(made["client_id"], "wrong")
        status, _, told = await introspected(http)
        assert (status, told["www-authenticate"]) == (401, 'Basic realm="polis"')
        headers["Authorization"] = aiohttp.encode_basic_auth(made["client_id"], made["client_secret"])
        assert [(await introspected(http))[:2] for _ in range(2)] == [(200, True)] * 2

        await ada.call("POST", "/agents/guard/credentials", {"overlap_s": 0})
        assert (await introspected(http))[0] == 401
        async with http.get(f"{address}/api/v1/me", headers=headers) as elsewhere:
            assert (elsewhere.status, elsewhere.headers["www-authenticate"]) == (401, 'Bearer realm="polis"')


@pytest.mark.parametrize(
    ("path", "content", "authorization", "expected"),
    [
        ("token", "grant_type=password&client_id=a&client_secret=b", "", (400, "unsupported_grant_type")),
        ("token", "client_id=a&client_secret=b", "", (400, "invalid_request")),
        ("token", "grant_type=&client_id=a&client_secret=b", "", (400, "invalid_request")),
        ("token", "", "", (400, "invalid_request")),
        ("token", "grant_type=client_credentials&client_id=a", "", (401, "invalid_client")),
        ("token", "grant_type=client_credentials&client_id=%00&client_secret=b", "", (401, "invalid_client")),
        ("token", "grant_type=client_credentials", "", (401, "invalid_client")),
        ("token", "grant_type=client_credentials", "Basic x", (401, "invalid_client")),
        ("token", "grant_type=client_credentials&client_id=b", "Basic YTpi", (400, "invalid_request")),
        ("token", "grant_type=client_credentials&client_secret=b", "Basic YTpi", (400, "invalid_request")),
        ("token", "grant_type=client_credentials&client_id=a", "Basic YTpi", (401, "invalid_client")),
        ("token", "grant_type=a&grant_type=a", "", (400, "invalid_request")),
        ("token", "grant_type=%ff", "", (400, "invalid_request")),
        ("token", "grant_type=\xff", "", (400, "invalid_request")),
        ("token?grant_type=client_credentials", "client_id=a&client_secret=b", "", (400, "invalid_request")),
        ("introspect", "", "agent", (400, "invalid_request")),
        ("introspect", "token=a", "", (401, "invalid_token")),
        ("nothing", "token=a", "", (404, "invalid_request")),
        ("revoke", "token=", "", (400, "invalid_request")),
        ("revoke", f"token={'a' * 5000}", "", (400, "invalid_request")),
    ],
)
async def test_what_oauth2_cannot_read_is_refused_as_its_clients_go_by(
    ada, address, path, content, authorization, expected
):
    headers = {"Content-Type": FORM}
    if authorization:
        headers["Authorization"] = f"Bearer {ada.token}" if authorization == "agent" else authorization
    url, body = f"{address}/api/v1/oauth/{path}", content.encode("latin-1")
    async with aiohttp.ClientSession() as http, http.post(url, data=body, headers=headers) as refused:
        told = await refused.json(content_type="application/json")

    assert (refused.status, told["error"]) == expected
    assert told["status"] == refused.status
    assert re.fullmatch(r"[\x20\x21\x23-\x5b\x5d-\x7e]+", told["error_description"])
    assert refused.headers["cache-control"] == "no-store"
    if refused.status == 401:
        scheme = "Basic" if authorization else "Bearer"
        assert refused.headers["www-authenticate"] == f'{scheme} realm="polis"'


@pytest.mark.parametrize(
    ("problem", "error"),
    [
        (Overloaded(3.0), "temporarily_unavailable"),
        (Unavailable("identity"), "temporarily_unavailable"),
        (Internal(), "server_error"),
        (InvalidScope(), "invalid_scope"),
    ],
)
def test_whatever_refuses_it_has_an_error_that_clients_know(problem, error):
    told = json.loads(with_error(problem.status, encode_problem(problem)))

    assert (told["type"], told["status"], told["error"]) == (problem.type, problem.status, error)
    assert told["error_description"]


async def test_who_sends_json_to_oauth2s_endpoints_is_told_in_a_problem_what_is_wrong(address):
    async with aiohttp.ClientSession() as http:
        async with http.post(f"{address}/api/v1/oauth/token", json={"scope": "ü" * 3000}) as refused:
            told = await refused.json(content_type="application/problem+json")
        async with http.post(f"{address}/api/v1/oauth/token", data=b"grant_type=a") as other:
            pass

    assert (refused.status, told["error"], told["type"]) == (
        400,
        "invalid_request",
        "/problems/identity/invalid-request",
    )
    assert "/grant_type" in [fault["pointer"] for fault in told["faults"]]
    assert other.status == 400
