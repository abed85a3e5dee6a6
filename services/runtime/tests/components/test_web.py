"""http.request and webhook.send, on a server of this process: what is asked for, what is refused, what is never told."""

import asyncio
import base64
import gzip
import hmac
import socket

import pytest
from aiohttp import web

from polis.graph import builtin, config_faults
from polis.local.ports import free_port
from polis.runtime.component import StepFailed, implementation
from polis.runtime.egress.addresses import Allowed
from polis.runtime.egress.client import Egress

SECRET_ID = "0190d3c4-1c2f-7a53-8a3e-2f6b7d1f0c11"
TOKEN = "s3cret-token"


class Server:
    """Answers what its paths say, and remembers what it was asked."""

    def __init__(self):
        self.asked = []
        self.base = ""

    async def answer(self, request):
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.asked.append((request.method, request.path_qs, headers, await request.read()))
        match request.path.strip("/").split("/"):
            case ["status", code]:
                return web.Response(status=int(code), text="no")
            case ["to"]:
                return web.Response(
                    status=int(request.query.get("status", 302)), headers={"Location": request.query["url"]}
                )
            case ["bomb"]:
                body = gzip.compress(b"\0" * 50_000_000)
                return web.Response(body=body, headers={"Content-Encoding": "gzip"})
            case ["slow"]:
                await asyncio.sleep(1)
            case ["latin"]:
                return web.Response(body=b"\xfc", headers={"Content-Type": "text/plain; charset=latin-1"})
            case ["back"]:
                return web.json_response({"you": request.headers.get("Authorization")})
        return web.json_response({"ok": True})


async def serving():
    server = Server()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.port = site._server.sockets[0].getsockname()[1]
    server.base = f"http://127.0.0.1:{server.port}"
    return server, runner


@pytest.fixture(scope="module")
async def servers():
    started = [await serving(), await serving()]
    yield [server for server, _ in started]
    for _, runner in started:
        await runner.cleanup()


@pytest.fixture
async def server(servers, within):
    for each in servers:
        each.asked.clear()
    within.secrets[SECRET_ID] = TOKEN
    first = within.egress = Egress(Allowed(f"127.0.0.1:{servers[0].port}"))
    yield servers[0]
    await first.close()
    await within.egress.close()


@pytest.fixture
def ask(run, within, server):
    async def ask(message=None, **config):
        step = await run("http.request", message or {}, within=within, **{"url": server.base, **config})
        return step.out()[0]

    return ask


@pytest.fixture
def failing(ask):
    async def failing(message=None, **config):
        with pytest.raises(StepFailed) as failure:
            await ask(message, **config)
        assert TOKEN not in str(failure.value)
        return failure.value.kind, failure.value.retryable

    return failing


async def test_a_request_is_what_node_and_message_say_together(ask, server):
    answer = await ask(
        {"path": "a b/c", "query": {"n": ["1", "2"]}, "json": {"x": 1}, "headers": {"X-More": "2"}},
        url=f"{server.base}/v1?k=v", method="POST", headers={"X-One": "1"},
    )  # fmt: skip

    ((method, path, headers, body),) = server.asked
    assert (method, path, body) == ("POST", "/v1/a%20b/c?k=v&n=1&n=2", b'{"x":1}')
    assert (headers["x-one"], headers["x-more"], headers["content-type"]) == ("1", "2", "application/json")
    assert headers["idempotency-key"] == "run/node/0"
    assert (answer["status"], answer["body"]) == (200, {"ok": True})


async def test_a_body_is_a_form_a_text_or_a_file_of_the_org(run, within, server):
    files = {"f": b"\0bytes"}
    for sent in ({"form": {"a": "b c"}}, {"text": "ü"}, {"file": {"artifact_id": "f"}}):
        await run("http.request", sent, within=within, files=files, url=server.base, method="PUT")

    assert [body for *_, body in server.asked] == [b"a=b+c", "ü".encode(), b"\0bytes"]


async def test_a_path_cannot_lead_to_another_host_or_upwards(ask, failing, server):
    await ask({"path": "//evil.example/x"})
    assert server.asked[0][1] == "/evil.example/x"

    assert await failing({"path": "a/../../b"}) == ("http.url", False)
    assert await failing({"url": "https://evil.example"}) == ("http.url", False)
    assert await failing({"json": 1, "text": "a"}) == ("http.body", False)
    assert await failing({"headers": {"Host": "evil"}}) == ("http.headers", False)
    assert await failing({"headers": {"X": "a\r\nY: b"}}) == ("http.headers", False)


@pytest.mark.parametrize(
    ("credential", "header"),
    [
        ({"secret_id": SECRET_ID}, ("authorization", f"Bearer {TOKEN}")),
        (
            {"secret_id": SECRET_ID, "as": "basic", "user": "ada"},
            ("authorization", "Basic " + base64.b64encode(f"ada:{TOKEN}".encode()).decode()),
        ),
        ({"secret_id": SECRET_ID, "as": "header", "name": "X-Api-Key"}, ("x-api-key", TOKEN)),
    ],
)
async def test_a_credential_leaves_with_the_request_and_stays_with_its_origin(
    credential, header, ask, within, servers
):
    first, second = servers
    within.egress = Egress(Allowed(f"127.0.0.1:{first.port}, 127.0.0.1:{second.port}, 127.0.0.1"))

    await ask({"query": {"url": f"{second.base}/there"}}, url=f"{first.base}/to", credential=credential)

    assert first.asked[0][2][header[0]] == header[1]
    assert second.asked[0][1] == "/there"
    assert header[0] not in second.asked[0][2]
    await within.egress.close()


@pytest.mark.parametrize(
    ("hosts", "sent"),
    [
        (("127.0.0.1",), True),
        (("api.example", "127.0.0.1:{port}"), True),
        (("127.0.0.1:1",), False),
        (("*.0.0.1",), True),
        (("*.example",), False),
    ],
)
async def test_a_secret_that_is_bound_to_hosts_goes_to_no_other(hosts, sent, ask, within, server, failing):
    within.hosts = tuple(host.format(port=server.port) for host in hosts)
    config = {"url": f"{server.base}/there", "credential": {"secret_id": SECRET_ID}}

    if sent:
        await ask({}, **config)
    else:
        assert await failing({}, **config) == ("secret.elsewhere", False)

    assert bool(server.asked) is sent


async def test_a_secret_that_a_host_gives_back_does_not_come_into_the_run(ask, failing, server):
    back, credential = f"{server.base}/back", {"secret_id": SECRET_ID}

    assert (await ask(url=back, credential=credential))["body"] == {"you": "Bearer [secret]"}
    told = await ask(url=back, credential={**credential, "as": "basic", "user": "ada"})
    assert told["body"] == {"you": "Basic [secret]"}
    assert await failing(url=back, credential=credential, answer="base64") == ("http.secret", False)


async def test_a_secret_goes_over_tls_or_where_the_operator_says(failing, run, within):
    within.egress = Egress(Allowed())
    with pytest.raises(StepFailed) as failure:
        await run("http.request", {}, within=within, url="http://example.org", credential={"secret_id": SECRET_ID})  # fmt: skip

    assert failure.value.kind == "http.uncovered"


@pytest.mark.parametrize(
    ("path", "config", "failure"),
    [
        ("status/404", {}, ("http.4xx", False)),
        ("status/429", {}, ("http.429", True)),
        ("status/503", {}, ("http.5xx", True)),
        ("slow", {"timeout_s": 0.2}, ("http.timeout", True)),
        ("bomb", {}, ("http.too_large", False)),
        ("x", {"max_bytes": 5}, ("http.too_large", False)),
        ("latin", {"answer": "json"}, ("http.no_json", False)),
        ("to?url=/to?url=/x", {"max_redirects": 1}, ("http.redirect", False)),
        ("to?url=file:///etc/passwd", {}, ("http.url", False)),
        ("to?url=http://127.0.0.1:1/", {}, ("egress.refused", False)),
        ("to?url=http://localhost:1/", {}, ("egress.refused", False)),
        ("to?url=http://a:b@example.org/", {}, ("http.url", False)),
    ],
)
async def test_what_goes_wrong_has_a_kind(path, config, failure, failing, server):
    assert await failing(url=f"{server.base}/{path}", **config) == failure


async def test_a_host_that_does_not_answer_may_be_asked_again(failing, within):
    within.egress = Egress(Allowed("127.0.0.1"))

    assert await failing(url=f"http://127.0.0.1:{free_port()}") == ("http.connect", True)
    await within.egress.close()


async def test_a_status_and_a_redirect_may_be_results(ask, server):
    assert (await ask(url=f"{server.base}/status/404", on_status="emit"))["status"] == 404
    assert (await ask(url=f"{server.base}/to?url=/x", max_redirects=0))["headers"]["location"] == "/x"
    assert (await ask(url=f"{server.base}/latin"))["body"] == "ü"


async def test_an_answer_may_become_a_file_of_the_org(ask, server, within):
    told = await ask(url=f"{server.base}/r%C3%A9port.json", answer="file")

    assert told["file"]["media_type"] == "application/json"
    assert within.stored == [("r_C3_A9port.json", "application/json", b'{"ok": true}')]


async def test_a_see_other_becomes_a_get_without_the_body(ask, server):
    await ask({"text": "x"}, url=f"{server.base}/to?status=303&url=/done", method="POST")

    assert [(method, body) for method, _, _, body in server.asked] == [("POST", b"x"), ("GET", b"")]


HIDDEN = [
    "127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0.0.0.0", "10.0.0.1", "172.16.0.1",
    "192.168.0.1", "169.254.169.254", "100.64.0.1", "224.0.0.1", "255.255.255.255", "[::]", "[::1]", "[fe80::1]", "[fd00::1]",
    "[::ffff:127.0.0.1]", "[::ffff:a9fe:a9fe]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[ff02::1]",
    "[fec0::1]", "[64:ff9b:1::7f00:1]", "[::ffff:0:127.0.0.1]", "192.0.0.1", "198.18.0.1", "240.0.0.1",
]  # fmt: skip


@pytest.mark.parametrize("host", HIDDEN)
async def test_no_address_that_is_not_public_is_connected_to(host, server):
    """However it is written."""
    egress = Egress(Allowed(f"127.0.0.1:{server.port}"))

    with pytest.raises(StepFailed) as failure:
        await egress.socket(host.strip("[]"), 1)

    assert failure.value.kind in ("egress.refused", "egress.unknown")


@pytest.mark.parametrize("host", HIDDEN)
async def test_no_url_leads_to_an_address_that_is_not_public(host, failing, server, within):
    assert (await failing(url=f"http://{host}:{server.port + 1}/"))[0] in ("egress.refused", "http.url")
    assert server.asked == []


async def test_a_name_that_leads_elsewhere_a_moment_later_gains_nothing(failing, monkeypatch, server):
    """DNS rebinding: the address that was judged is the one that is connected to."""
    answers = [("93.184.216.34", 80)]
    loop = asyncio.get_running_loop()

    async def lookup(host, port, **_):
        address = answers.pop() if answers else ("127.0.0.1", port)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address)]

    monkeypatch.setattr(loop, "getaddrinfo", lookup, raising=False)
    connected = []

    async def connect(_, address):
        connected.append(address[0])
        raise OSError

    monkeypatch.setattr(loop, "sock_connect", connect, raising=False)

    assert (await failing(url="http://rebound.example/"))[0] in ("http.connect", "http.timeout")
    assert (await failing(url="http://rebound.example/"))[0] == "egress.refused"
    assert connected == ["93.184.216.34"]


async def test_the_environments_proxies_are_not_asked(ask, monkeypatch, server):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    assert (await ask())["status"] == 200


def test_what_the_operator_allows_is_networks_addresses_ports_and_names():
    allowed = Allowed("10.1.0.0/16, 192.168.0.1:8080, [::1]:9000, intranet.example, *.corp.example:443")

    def permits(host, address, port=80):
        return allowed.permits(host, address, port)

    assert permits("x", "10.1.2.3")
    assert not permits("x", "10.2.0.1")
    assert permits("x", "192.168.0.1", 8080)
    assert not permits("x", "192.168.0.1", 8081)
    assert permits("x", "::1", 9000)
    assert permits("Intranet.example.", "10.9.9.9")
    assert permits("a.corp.example", "10.9.9.9", 443)
    assert not permits("corp.example", "10.9.9.9", 443)
    assert not permits("evilcorp.example", "10.9.9.9", 443)
    with pytest.raises(ValueError, match=r"10\.1\.0\.0/99"):
        Allowed("10.1.0.0/99")


async def test_a_webhook_is_signed_and_the_same_message_has_the_same_id(run, within, server):
    key = b"0123456789abcdef01234567"
    within.secrets[SECRET_ID] = "whsec_" + base64.b64encode(key).decode()

    for _ in range(2):
        await run("webhook.send", {"n": 1}, within=within, url=server.base, secret_id=SECRET_ID, type="order")

    (_, _, headers, body), (_, _, again, _) = server.asked
    assert body == b'{"type":"order","data":{"n":1}}'
    assert headers["webhook-id"] == again["webhook-id"]
    told = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    assert headers["webhook-signature"] == "v1," + base64.b64encode(hmac.digest(key, told, "sha256")).decode()


@pytest.mark.parametrize(
    ("secret", "path", "kind"),
    [
        ("whsec_c2VjcmV0", "to?url=/x", "http.redirect"),
        ("whsec_", "", "webhook.secret"),
        ("whsec_schlüssel", "", "webhook.secret"),
    ],
)
async def test_a_webhook_that_is_redirected_or_cannot_be_signed_has_not_arrived(
    run, within, server, secret, path, kind
):
    within.secrets[SECRET_ID] = secret

    with pytest.raises(StepFailed) as failure:
        await run("webhook.send", 1, within=within, url=f"{server.base}/{path}", secret_id=SECRET_ID)

    assert failure.value.kind == kind


@pytest.mark.parametrize(
    ("config", "pointer"),
    [
        ({"url": "file:///etc/passwd"}, "/url"),
        ({"url": "https://user:password@example.org"}, "/url"),
        ({"credential": {"secret_id": SECRET_ID}}, "/url"),
        ({"max_bytes": 800_000}, "/max_bytes"),
        ({"url": "https://example.org", "headers": {"Transfer-Encoding": "chunked"}}, "/headers/Transfer-Encoding"),
    ],
)  # fmt: skip
def test_a_configuration_that_cannot_work_is_found_before_the_run(config, pointer):
    assert [fault.pointer for fault in config_faults(builtin.components()["http.request"], config)] == [
        pointer
    ]


def test_only_who_may_write_files_starts_a_graph_that_makes_a_file_of_an_answer():
    needs = implementation("http.request").needs

    assert needs({"url": "https://example.org", "answer": "file"}) == ("catalog:write",)
    assert needs({"url": "https://example.org"}) == ()
