"""What the gateway makes of services' answers and of headers: validators, compression, origins, keys."""

from __future__ import annotations

import gzip
import io
import json

import aiohttp
import pytest

from polis.cli.api import Api
from polis.gateway.cors import Cors
from polis.gateway.finish import revision_of
from polis.gateway.ranges import Part, Unsatisfiable, part_of
from polis.service.config import BadSettings
from polis.testing import eventually

SESAME = "https://app.example.org"
KEYED_BY = {"authorization", "cookie", "origin", "accept-encoding", "x-org-id", "x-env"}


@pytest.fixture(scope="module")
async def address(stage):
    await stage.start("identity")
    await stage.start("catalog")
    patterns = "https://*.example.org,http://localhost:*"
    running = await stage.start("gateway", cors_origins=patterns, trusted_proxies="127.0.0.1")
    return f"http://127.0.0.1:{running.port}"


@pytest.fixture(scope="module")
async def ada(address):
    async with Api(address) as api:
        await api.sign_up()
        yield api


@pytest.fixture
async def http(address, ada):
    headers = {"Authorization": f"Bearer {ada.token}"}
    async with aiohttp.ClientSession(f"{address}", headers=headers, auto_decompress=False) as http:
        yield http


async def resource(ada, key, text="x"):
    return await ada.call("POST", "/resources", {"type": "context", "key": key, "content": {"text": text}})


async def test_what_a_client_has_already_is_not_sent_again(ada, http):
    made = await resource(ada, "conditional")
    path = f"/api/v1/resources/{made['id']}"
    async with http.get(path) as first:
        body, tag = await first.read(), first.headers["etag"]
    async with http.get(path, headers={"If-None-Match": f'"other", {tag}'}) as again:
        nothing = await again.read()
    async with http.get(path, headers={"If-None-Match": '"other"'}) as changed:
        whole = await changed.read()

    assert (first.status, again.status, changed.status) == (200, 304, 200)
    assert nothing == b""
    assert whole == body
    assert again.headers["etag"] == tag
    assert "content-length" not in again.headers
    assert first.headers["cache-control"] == "private, no-cache"


async def test_a_body_that_was_compressed_is_refused_by_what_it_should_be(http):
    body = gzip.compress(json.dumps({"type": "context", "key": "coded", "content": {}}).encode())
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    async with http.post("/api/v1/resources", data=body, headers=headers) as coded:
        problem = await coded.json(content_type=None)

    assert (coded.status, coded.headers["accept-encoding"]) == (415, "identity")
    assert "Content-Encoding" in problem["detail"]


async def test_a_change_is_made_on_the_revision_that_if_match_names(ada, http):
    made = await resource(ada, "revised")
    path = f"/api/v1/resources/{made['id']}"
    async with http.get(path) as answer:
        tag = answer.headers["etag"]
    change = {"content": {"text": "changed"}}
    async with http.put(f"{path}/draft", json=change, headers={"If-Match": tag}) as first:
        pass
    async with http.put(f"{path}/draft", json=change, headers={"If-Match": tag}) as second:
        problem = await second.json(content_type=None)
    async with http.put(f"{path}/draft", json=change, headers={"If-Match": '"what"'}) as nonsense:
        pass
    async with http.put(f"{path}/draft", json=change | {"revision": made["revision"]}) as without:
        pass

    assert tag.startswith(f'"{made["revision"]}-')
    assert (first.status, second.status, nonsense.status, without.status) == (200, 412, 400, 409)
    assert (problem["type"], problem["status"]) == ("/problems/precondition-failed", 412)
    assert (problem["expected"], problem["actual"]) == (made["revision"], made["revision"] + 1)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/v1/resources"),
        ("GET", "/api/v1/me"),
        ("POST", "/api/v1/session"),
        ("POST", "/api/v1/artifacts?name=a.bin"),
    ],
)
async def test_a_condition_that_nothing_can_be_compared_with_is_refused_and_not_passed_over(
    http, method, path
):
    body = {"type": "context", "key": "conditioned", "content": {}}
    async with http.request(method, path, json=body, headers={"If-Match": '"7"'}) as refused:
        problem = await refused.json(content_type=None)
    async with http.request(method, path, json=body, headers={"If-Match": "*"}) as taken:
        other = await taken.json(content_type=None)

    assert (refused.status, problem["type"]) == (400, "/problems/malformed")
    assert "If-Match" in problem["reason"]
    assert other.get("type") != problem["type"]


async def test_a_header_says_which_environment_where_a_request_names_none(ada, http):
    made = await resource(ada, "somewhere", "first")
    path = f"/resources/{made['id']}"
    await ada.call("POST", f"{path}/versions", {})
    await ada.call("PUT", f"{path}/draft", {"revision": 1, "content": {"text": "second"}})
    await ada.call("POST", f"{path}/versions", {})
    await ada.call("PUT", f"{path}/activations/production", {"number": 1})

    active, staging = "/api/v1/active/context/somewhere", {"X-Env": "staging"}
    url = f"/api/v1{path}/activations/staging"
    async with http.put(url, json={"number": 2}, headers={"X-Env": "production"}) as activated:
        assert (await activated.json())["environment"] == "staging"
    async with http.get(active, headers=staging) as there, http.get(active) as here:
        numbers = [(await answer.json())["number"] for answer in (there, here)]
    async with http.get(f"{active}?environment=production", headers=staging) as twice:
        problem = await twice.json(content_type=None)
    async with http.get(active, headers={"X-Env": "Not One"}) as wrong:
        other = await wrong.json(content_type=None)
    async with http.get("/api/v1/me", headers=staging) as elsewhere:
        pass

    assert numbers == [2, 1]
    assert elsewhere.status == 200
    for refused in (problem, other):
        assert [fault["pointer"] for fault in refused["faults"]] == ["/environment"]


@pytest.mark.parametrize(
    ("header", "revision"),
    [
        ('"7-abc"', 7),
        ('W/"7"', 7),
        ("7", 7),
        ('"abc"', None),
        ("*", None),
        ('"-1"', None),
        ('"7" , "8"', None),
    ],
)
def test_a_revision_is_read_from_our_validators_alone(header, revision):
    assert revision_of(header) == revision


@pytest.mark.parametrize("size", [5_000, 200_000])
async def test_long_answers_are_compressed_for_who_takes_it(ada, http, size):
    made = await resource(ada, f"long{size}", "x" * size)
    path = f"/api/v1/resources/{made['id']}/draft"
    answers, tags = [], []
    for coding in ("gzip", "identity", "gzip;q=0"):
        async with http.get(path, headers={"Accept-Encoding": coding}) as answer:
            answers.append((answer.headers.get("content-encoding"), await answer.read()))
            tags.append(answer.headers["etag"])
    for tag in tags:
        async with http.get(path, headers={"Accept-Encoding": "gzip", "If-None-Match": tag}) as again:
            assert (again.status, again.headers["etag"]) == (304, tag)

    assert [coding for coding, _ in answers] == ["gzip", None, None]
    assert tags[0] != tags[1] == tags[2]
    assert gzip.decompress(answers[0][1]) == answers[1][1] == answers[2][1]
    assert len(answers[0][1]) < size / 10


@pytest.mark.parametrize("path", ["/", "/docs/openapi.json"])
async def test_pages_have_a_validator_for_each_coding_and_take_a_word_about_them(http, path):
    tags = {}
    for accepted in ("gzip", "gzip;q=0, identity"):
        async with http.get(path, headers={"Accept-Encoding": accepted}) as first:
            coding = first.headers.get("content-encoding")
            tags[coding] = first.headers["etag"]
        held = {"Accept-Encoding": accepted, "If-None-Match": first.headers["etag"]}
        async with http.get(path, headers=held) as again:
            assert (again.status, again.headers["etag"]) == (304, first.headers["etag"])

    assert set(tags) == {"gzip", None}
    assert tags["gzip"] != tags[None]
    for held, told in (
        (tags[None], tags[None]),
        (f'"other", W/{tags[None]}', tags[None]),
        ("*", tags["gzip"]),
        (tags["gzip"][1:-1], None),
    ):
        async with http.get(path, headers={"Accept-Encoding": "gzip", "If-None-Match": held}) as again:
            assert (again.status, again.headers["etag"]) == (304 if told else 200, told or tags["gzip"])


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/nowhere", 404, "/problems/not-found"),
        ("GET", "/docs/nothing.json", 404, "/problems/not-found"),
        ("POST", "/chat", 405, "/problems/method-not-allowed"),
    ],
)
async def test_where_there_is_no_page_a_problem_says_so_under_the_policy_of_pages(
    http, method, path, status, kind
):
    async with http.request(method, path) as refused:
        problem = await refused.json()

    assert (refused.status, problem["type"], problem["status"]) == (status, kind, status)
    assert refused.content_type == "application/problem+json"
    assert refused.headers["content-security-policy"].startswith("default-src 'none'")
    assert refused.headers["x-content-type-options"] == "nosniff"
    assert refused.headers.get("allow") == ("GET, HEAD" if status == 405 else None)


async def test_what_identity_says_is_neither_compressed_nor_kept(http):
    async with http.get("/api/v1/me", headers={"Accept-Encoding": "gzip"}) as answer:
        assert answer.headers["cache-control"] == "no-store"
        assert not {"etag", "content-encoding"} & set(answer.headers)


async def test_no_shared_cache_keeps_what_a_session_was_answered(address):
    """By cookie, which unlike Authorization forbids nothing by itself (RFC 9111 3.5)."""
    account = {"email": "cached@example.org", "password": "a long enough password"}
    async with aiohttp.ClientSession(address, cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        await http.post("/api/v1/sign-up", json=account | {"name": "Ada"})
        async with http.post("/api/v1/session", json=account) as opened:
            http.headers["X-CSRF-Token"] = (await opened.json())["csrf_token"]
        body = {"type": "context", "key": "cached", "content": {"text": "x"}}
        async with http.post("/api/v1/resources", json=body) as made:
            resource = f"/api/v1/resources/{(await made.json())['id']}"
        async with http.post("/api/v1/artifacts?name=a.bin", data=b"content") as uploaded:
            artifact = f"/api/v1/artifacts/{(await uploaded.json())['id']}/content"
        async with http.get(resource) as kept:
            tag = {"If-None-Match": kept.headers["etag"]}
        answers = [opened, made, uploaded, kept]
        for path, headers in ((resource, tag), (artifact, {}), ("/api/v1/me", {}), (resource + "0", {})):
            async with http.get(path, headers=headers) as answer:
                answers.append(answer)

    assert [answer.status for answer in answers] == [200, 200, 200, 200, 304, 200, 200, 422]
    for answer in answers:
        told = answer.headers["cache-control"]
        varies = {name.strip() for name in ",".join(answer.headers.getall("vary", [])).split(",")}
        assert told == "no-store" or (told == "private, no-cache" and varies >= KEYED_BY), answer.url


async def test_a_session_by_https_is_that_of_a_cookie_which_no_sibling_domain_can_set(address):
    account = {"email": "host@example.org", "password": "a long enough password"}
    secure = {"X-Forwarded-Proto": "https"}
    async with aiohttp.ClientSession(address, cookie_jar=aiohttp.DummyCookieJar()) as http:
        await http.post("/api/v1/sign-up", json=account | {"name": "Ada"})
        async with http.post("/api/v1/session", json=account, headers=secure) as opened:
            by_https = opened.headers.getall("set-cookie")
        async with http.post("/api/v1/session", json=account) as opened:
            by_http = opened.headers.getall("set-cookie")

        async def status(path: str, cookie: str, method: str = "GET", **more: str) -> int:
            async with http.request(method, path, headers=more | {"Cookie": cookie}) as answer:
                return answer.status

        access, refresh = (line.partition(";")[0] for line in by_https)
        plain_access, plain_refresh = (name.removeprefix("__Host-") for name in (access, refresh))
        renewed = await status("/api/v1/session/refresh", plain_refresh, "POST", **secure)
        statuses = [
            await status("/api/v1/session", f"{plain_access}; {access}", **secure),
            await status("/api/v1/session", f"polis_access=planted; {access}", **secure),
            await status("/api/v1/session", plain_access, **secure),
            await status("/api/v1/session", plain_access),
        ]

    for line in by_https:
        assert line.startswith("__Host-polis_")
        assert {"Secure", "Path=/", "HttpOnly", "SameSite=Strict"} <= set(line.split("; "))
        assert "Domain" not in line
    assert [line.partition("=")[0] for line in by_http] == ["polis_access", "polis_refresh"]
    assert all("Secure" not in line for line in by_http)
    assert (statuses, renewed) == ([200, 200, 401, 200], 401)


async def test_pages_of_allowed_origins_may_ask_with_a_token_but_never_with_cookies(address):
    asked = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "authorization"}
    path = f"{address}/api/v1/resources/x/draft"
    async with aiohttp.ClientSession() as http:
        async with http.options(path, headers=asked | {"Origin": SESAME}) as allowed:
            pass
        async with http.options(path, headers=asked | {"Origin": "https://example.org.evil.net"}) as foreign:
            pass
        async with http.get(f"{address}/api/v1/me", headers={"Origin": SESAME}) as answer:
            pass

    assert allowed.status == 204
    assert allowed.headers["access-control-allow-origin"] == SESAME
    assert "PUT" in allowed.headers["access-control-allow-methods"]
    assert "access-control-allow-origin" not in foreign.headers
    assert answer.headers["access-control-allow-origin"] == SESAME
    assert "etag" in answer.headers["access-control-expose-headers"]
    assert all("access-control-allow-credentials" not in a.headers for a in (allowed, foreign, answer))


async def test_events_are_read_by_pages_of_allowed_origins_with_a_token_and_never_with_cookies(address, ada):
    path, here = f"{address}/api/v1/live?topic=org", {"Origin": SESAME}
    token = {"Authorization": f"Bearer {ada.token}"}
    asked = {
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization, last-event-id",
    }
    async with aiohttp.ClientSession() as http:
        async with http.options(path, headers=asked | here) as allowed:
            assert allowed.status == 204
        async with http.get(path, headers=token | here) as answer:
            assert answer.status == 200
            assert await answer.content.readline()
        async with http.get(path, headers=token | {"Origin": "https://evil.example"}) as foreign:
            assert foreign.status == 403
        async with http.get(path, headers=here | {"Cookie": f"polis_access={ada.token}"}) as by_cookie:
            assert by_cookie.status == 403

    told = allowed.headers["access-control-allow-headers"]
    assert {"authorization", "last-event-id"} <= set(told.split(", "))
    assert answer.headers["access-control-allow-origin"] == SESAME
    assert "access-control-allow-origin" not in foreign.headers


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://app.example.org", True),
        ("https://a.b.example.org", True),
        ("http://localhost:5173", True),
        ("http://localhost", True),
        ("https://example.org", False),
        ("http://app.example.org", False),
        ("https://app.example.org.evil.net", False),
        ("https://evilexample.org", False),
        ("https://app.example.org:8443", False),
        ("http://localhost.evil.net:80", False),
        ("http://localhost:80.evil.net", False),
        ("null", False),
    ],
)
def test_a_pattern_takes_what_it_says_and_nothing_longer(origin, allowed):
    assert Cors("https://*.example.org, http://localhost:*").allows(origin) is allowed


def test_a_pattern_that_would_allow_everybody_is_refused():
    for pattern in ("*", "https://*", "example.org", "https://a.org/path"):
        with pytest.raises(BadSettings, match="CORS"):
            Cors(pattern)


async def test_an_api_key_opens_what_it_is_for_by_either_header_until_it_is_revoked(ada, address):
    made = await ada.call("POST", "/keys", {"name": "ci", "scopes": ["catalog:read"]})
    key, key_id = made["secret"], made["key"]["id"]
    mistyped = key[:-1] + ("x" if key[-1] != "x" else "y")
    async with aiohttp.ClientSession() as http:

        async def status(path: str, **headers: str) -> int:
            async with http.get(f"{address}/api/v1{path}", headers=headers) as answer:
                return answer.status

        bearer = {"Authorization": f"Bearer {key}"}
        allowed = [await status("/resources", **bearer), await status("/resources", **{"X-API-Key": key})]
        refused = [
            await status("/resources", **{"X-API-Key": mistyped}),
            await status("/resources", **{"X-API-Key": key}, **bearer),
            await status("/resources", **{"X-API-Key": "a"}),
            await status("/invitations", **bearer),
        ]
        await ada.call("DELETE", f"/keys/{key_id}")

        async def revoked() -> bool:
            return await status("/resources", **bearer) == 401

        await eventually(revoked)

    assert allowed == [200, 200]
    assert refused == [401, 401, 401, 403]


async def test_headers_that_only_services_may_set_say_nothing(address, http):
    other = "0190c0de-0000-7000-8000-000000000001"
    spoofed = {"Polis-Org": other, "Polis-Actor": "x", "X-Service-Id": "runtime", "X-User-Id": other}
    async with http.get("/api/v1/me") as plain, http.get("/api/v1/me", headers=spoofed) as answer:
        assert await answer.json() == await plain.json()
    async with http.get("/api/v1/me", headers={"X-Org-Id": other}) as foreign:
        assert foreign.status == 403


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-0", Part(0, 1)),
        ("bytes=5-", Part(5, 10)),
        ("bytes=-3", Part(7, 10)),
        ("bytes=-30", Part(0, 10)),
        ("bytes=8-99", Part(8, 10)),
        ("", None),
        ("bytes=5-2", None),
        ("bytes=0-1,4-5", None),
        ("lines=0-1", None),
        ("bytes=-", None),
    ],
)
def test_one_range_of_bytes_is_understood(header, part):
    assert part_of(header, 10) == part


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=99-100", "bytes=-0"])
def test_a_range_without_a_byte_is_none(header):
    with pytest.raises(Unsatisfiable):
        part_of(header, 10)


async def test_a_file_is_read_in_parts_and_a_download_goes_on_where_it_broke_off(http):
    content = bytes(range(256)) * 10_000
    async with http.post("/api/v1/artifacts?name=a.bin", data=io.BytesIO(content)) as answer:
        path = f"/api/v1/artifacts/{(await answer.json())['id']}/content"
    async with http.get(path) as whole:
        tag = whole.headers["etag"]
        assert await whole.read() == content
    async with http.get(path, headers={"Range": "bytes=1000000-1999999", "If-Range": tag}) as middle:
        assert await middle.read() == content[1_000_000:2_000_000]
    async with http.get(path, headers={"Range": "bytes=1-2", "If-Range": '"another"'}) as changed:
        assert await changed.read() == content
    async with http.get(path, headers={"Range": "bytes=9999999-"}) as beyond:
        pass
    async with http.get(path, headers={"If-None-Match": tag}) as again:
        pass
    async with http.get(path, headers={"If-None-Match": "*"}) as anything:
        pass
    async with http.head(path, headers={"Range": "bytes=1-2"}) as head:
        pass
    async with http.get(path, params={"offset": 1_000_000, "length": 600_000}) as named:
        assert await named.read() == content[1_000_000:1_600_000]
    async with http.get(path, params={"offset": 2_559_000}, headers={"Range": "bytes=-10"}) as both:
        assert await both.read() == content[-10:]
    async with http.get(path, params={"offset": 2_560_000}) as outside:
        pass

    assert (named.status, both.status, outside.status) == (200, 206, 416)
    assert both.headers["content-range"] == "bytes 990-999/1000"
    assert (middle.status, changed.status, beyond.status, again.status) == (206, 200, 416, 304)
    assert (anything.status, head.status) == (304, 200)
    assert head.headers["content-length"] == str(len(content))
    assert "content-length" not in again.headers, "a cache would take it for the file's"
    assert middle.headers["content-range"] == "bytes 1000000-1999999/2560000"
    assert beyond.headers["content-range"] == "bytes */2560000"


async def test_paths_of_older_systems_lead_to_the_same_operations(ada, http, address):
    body = {"key": "npc-one", "name": "One"}
    async with http.post("/api/npcs", json=body) as made:
        npc = (await made.json())["agent"]
    async with http.put(f"/api/npcs/{npc['key']}", json={"name": "Another"}) as renamed:
        assert (await renamed.json())["name"] == "Another"
    async with http.get("/api/agents") as agents:
        assert npc["id"] in [agent["id"] for agent in (await agents.json())["items"]]
    secret = {"name": "mail", "value": "a canary value", "used_by": ["runtime"]}
    async with http.post("/api/credentials", json=secret) as kept, http.get("/api/credentials") as listed:
        told = await listed.text()
    async with aiohttp.ClientSession() as nobody:
        async with nobody.get(f"{address}/api/npcs") as anonymous:
            pass
        async with nobody.get(f"{address}/api/bootstrap/service") as bootstrap:
            assert (await bootstrap.json())["api"] == "/api/v1"
        async with nobody.get(f"{address}/api/system/health") as health:
            assert (await health.json())["status"] == "ready"
        async with nobody.get(f"{address}/api/nothing") as nothing:
            pass

        async with nobody.get(f"{address}/api/system/architecture") as drawn:
            edges = [(e["from"], e["to"], e["kind"]) for e in (await drawn.json())["edges"]]
    assert {("gateway", "catalog", "calls"), ("identity", "catalog", "tells")} <= set(edges)

    assert (made.status, kept.status, anonymous.status, nothing.status) == (200, 200, 401, 404)
    assert "mail" in told
    assert "canary" not in told


async def test_workflows_are_graphs_and_a_modification_is_a_change_set(ada, http):
    content = {"nodes": {"a": {"component": "passthrough"}}, "inputs": {"value": {"target": "a.in"}}}
    async with http.post("/api/workflows", json={"key": "flow", "content": content}) as made:
        flow = await made.json()
    assert made.status == 200, flow
    async with http.post("/api/workflows", json={"type": "policy", "key": "x", "content": {}}) as other:
        pass
    draft = {"revision": 1, "content": content | {"outputs": {"value": {"source": "a.out"}}}}
    async with http.put(f"/api/workflows/{flow['id']}", json=draft) as put:
        pass
    async with http.get(f"/api/workflows/{flow['id']}") as read:
        assert (await read.json())["content"] == draft["content"]
    await resource(ada, "no-flow")
    async with http.get("/api/workflows?text=flow&type=context") as listed:
        keys = [item["key"] for item in (await listed.json())["items"]]
    no_flow = f"/api/workflows/{(await resource(ada, 'context-of-it'))['id']}"
    body = {"revision": 1, "content": {"text": "other"}}
    for method, said in (("GET", None), ("PUT", body), ("DELETE", None)):
        async with http.request(method, no_flow, json=said) as unseen:
            assert (unseen.status, (await unseen.json())["type"]) == (
                404,
                "/problems/catalog/resource-not-found",
            ), method
    async with http.post("/api/system/modify", json={"title": "Try", "changes": []}) as proposed:
        assert (await proposed.json())["status"] == "open"
    async with http.post("/api/system/rollback", json={"at": flow["created_at"]}) as back:
        pass
    async with http.delete(f"/api/workflows/{flow['id']}") as gone:
        pass

    assert flow["type"] == "graph"
    assert keys == ["flow"]
    assert [a.status for a in (made, other, put, proposed, back, gone)] == [200, 422, 200, 200, 200, 204]
