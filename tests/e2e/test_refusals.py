"""What cannot work is refused with a problem of its own, or fails where it cannot go on, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import gzip
from datetime import UTC, datetime, timedelta

import pytest

from polis.cli.api import Api
from polis.service import Context
from tests.e2e.test_story import NOTHING, SAMPLE, digest, digesting, follow, publish, refusal, store

NO_ID = "0190c0de-0000-7000-8000-000000000001"
BROKEN = {
    "text": (b"Dear Ada,\n\nthis is no mailbox.\n", "mailbox.unreadable"),
    "a PDF": (b"%PDF-1.7\n", "mailbox.unreadable"),
    "a line that only looks like an mbox": (b"From here on nothing is a mail.\n", "mailbox.unreadable"),
    "a gzip that breaks off": (gzip.compress(SAMPLE.read_bytes())[:-200], "mailbox.unreadable"),
    "white space": (b"\n \n", "mailbox.empty"),
}


@pytest.mark.parametrize("what", BROKEN)
async def test_a_file_that_is_no_mailbox_fails_the_run_where_it_is_read(ada, what, tmp_path):
    content, kind = BROKEN[what]
    file = tmp_path / "broken.mbox"
    file.write_bytes(content)

    run = await digest(ada, await store(ada, file))
    transitions = await follow(ada, run)
    ended = await ada.call("GET", f"/runs/{run['id']}")
    output = await refusal(ada, "GET", f"/runs/{run['id']}/output")

    assert (ended["state"], ended["error"]["step"], ended["error"]["kind"]) == ("failed", "read", kind)
    assert (transitions[-1]["state"], transitions[-1]["error"]) == ("failed", ended["error"])
    assert output["type"] == "/problems/runtime/no-output-yet"


async def test_a_run_reads_no_file_of_another_org(ada, address):
    async with Api(address) as eve:
        await eve.sign_up(name="Eve")
        run = await digest(eve, await store(ada, SAMPLE))
        await follow(eve, run)
        ended = await eve.call("GET", f"/runs/{run['id']}")

    assert (ended["state"], ended["error"]["kind"]) == ("failed", "catalog.artifact-not-found")


def graph(*edges: tuple[str, str], **nodes: str) -> dict:
    return {
        "type": "graph",
        "key": "mine",
        "content": {
            "nodes": {name: {"component": component} for name, component in nodes.items()},
            "edges": [{"source": source, "target": target} for source, target in edges],
        },
    }


REFUSED = {
    "an unknown field": (
        ("POST", "/agents", {"key": "sarah", "name": "Sarah", "colour": "red"}),
        (422, "/problems/invalid", "/colour"),
    ),
    "a wrong type": (
        ("POST", "/runs", {"graph": "email-digest", "input": ["mailbox"]}),
        (422, "/problems/invalid", "/input"),
    ),
    "a graph with a cycle": (
        ("POST", "/resources", graph(("a.out", "b.in"), ("b.out", "a.in"), a="passthrough", b="passthrough")),
        (422, "/problems/catalog/content-invalid", "/edges/1"),
    ),
    "ports that do not fit": (
        ("POST", "/resources", graph(("a.out", "b.in"), a="merge.all", b="each")),
        (422, "/problems/catalog/content-invalid", "/edges/0"),
    ),
    "no such graph": (("POST", "/runs", {"graph": "none"}), (404, "/problems/runtime/graph-not-found", None)),
    "no such agent": (
        ("POST", "/runs", digesting({"artifact_id": NO_ID}, agent="nobody")),
        (404, "/problems/runtime/agent-unknown", None),
    ),
    "no input": (
        ("POST", "/runs", {"graph": "email-digest"}),
        (422, "/problems/runtime/input-invalid", "/input/mailbox"),
    ),
    "an input that is no file": (
        ("POST", "/runs", digesting({"artifact_id": 1})),
        (422, "/problems/runtime/input-invalid", "/input/mailbox/artifact_id"),
    ),
    "a cursor that was made up": (("GET", "/runs?after=AAAA", None), (400, "/problems/stale-cursor", None)),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_what_cannot_be_is_refused_with_its_own_problem_and_leaves_nothing(ada, what):
    before = await everything(ada)
    call, (status, kind, pointer) = REFUSED[what]

    problem = await refusal(ada, *call)

    assert (problem["status"], problem["type"]) == (status, kind)
    assert pointer is None or pointer in [fault["pointer"] for fault in problem["faults"]], problem
    assert await everything(ada) == before


async def test_a_cursor_of_another_list_or_org_is_stale(ada, address):
    await publish(ada, "nothing", NOTHING)
    for _ in range(2):
        await ada.call("POST", "/runs", {"graph": "nothing"})
    cursor = (await ada.call("GET", "/runs?limit=1"))["next_cursor"]
    async with Api(address) as eve:
        await eve.sign_up(name="Eve")
        stale = [
            await refusal(eve, "GET", f"/runs?after={cursor}"),
            await refusal(ada, "GET", f"/artifacts?after={cursor}"),
            await refusal(ada, "GET", f"/runs?state=failed&after={cursor}"),
        ]

    assert [problem["type"] for problem in stale] == ["/problems/stale-cursor"] * 3


async def test_a_token_that_has_expired_or_was_changed_is_refused(ada, address, monkeypatch):
    head, claims, signature = ada.token.split(".")
    changed = claims[:-4] + ("AAAA" if claims[-4:] != "AAAA" else "BBBB")
    for token in (f"{head}.{changed}.{signature}", f"{head}.{claims}.{signature[::-1]}"):
        async with Api(address, token) as api:
            assert (await refusal(api, "GET", "/me"))["type"] == "/problems/unauthenticated"

    async with Api(address) as late:
        with monkeypatch.context() as patch:
            an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
            patch.setattr(Context, "now", lambda _: an_hour_ago)
            await late.sign_up(name="Late")
        assert (await refusal(late, "GET", "/me"))["type"] == "/problems/unauthenticated"


async def test_a_request_of_200_mb_is_refused_before_it_is_read(ada, address):
    host, port = address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"POST /api/v1/runs HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {ada.token}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {200 * 1024 * 1024}\r\n\r\n"
    writer.write(head.encode() + b'{"graph": "')
    status = await asyncio.wait_for(reader.readline(), 30)
    writer.close()

    assert b" 413 " in status
    assert (await ada.call("GET", "/runs"))["items"] == []


async def everything(api: Api) -> dict[str, list]:
    """What an org has."""
    return {
        path: (await api.call("GET", path))["items"]
        for path in ("/agents", "/resources", "/runs", "/artifacts")
    }
