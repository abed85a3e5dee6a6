"""What an org bounds is counted by identity and refused by who would do it.

Runs by the runtime, bytes by the catalog, messages by messaging, requests by the gateway.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from polis.catalog.files import uploads
from polis.catalog.files.blobs import Rows
from polis.cli.api import Api, Problem
from polis.testing import eventually
from tests.e2e.test_calls import socket_of

PASSING = {
    "nodes": {"pass": {"component": "passthrough"}},
    "inputs": {"value": {"target": "pass.in", "required": False, "default": 1}},
}


@pytest.fixture
def store(ada, tmp_path):
    async def store(content):
        file = tmp_path / "file"
        file.write_bytes(content)
        return await ada.upload(file, name="file", media_type="text/plain")

    return store


@pytest.fixture
async def quota(ada):
    """Set a quota of the org."""

    async def quota(meter, period, most):
        subject = {"kind": "org"}
        bound = {"subject": subject, "meter": meter, "period": period, "most": most}
        return await ada.call("PUT", "/quotas", bound)

    return quota


@pytest.fixture
async def bind(quota, mesh):
    """Set a quota of the org; back when the service that enforces it knows."""
    bus, told = await mesh.bus("admin"), []

    async def bind(meter, period, most, service):
        # Who hears the word before a request hears it before that request in the service's processes, too.
        word = await bus.subscribe(
            f"peer.{service}.quotas", lambda message: told.append(message.payload.decode())
        )
        made = await quota(meter, period, most)
        await eventually(lambda: made["org_id"] in "".join(told))
        word.unsubscribe()
        return made

    return bind


@pytest.fixture
def used(ada):
    """Used and reserved of the only quota, once it is so."""

    async def used(*expected):
        async def look():
            quota = (await ada.call("GET", "/quotas"))["items"][0]
            return (quota["used"], quota["reserved"]) == expected

        await eventually(look)

    return used


async def over(work):
    with pytest.raises(Problem) as caught:
        await work
    return caught.value.content


async def test_runs_end_with_the_quota_and_who_starts_one_is_told_until_when(ada, bind, used):
    graph = await ada.call("POST", "/resources", {"type": "graph", "key": "passing", "content": PASSING})
    await ada.call("POST", f"/resources/{graph['id']}/versions", {})
    await ada.call("PUT", f"/resources/{graph['id']}/activations/production", {"number": 1})
    quota = await bind("runs", "month", 2, "runtime")
    for _ in range(2):
        await ada.call("POST", "/runs", {"graph": "passing"})

    problem = await over(ada.call("POST", "/runs", {"graph": "passing"}))

    assert (problem["type"], problem["status"]) == ("/problems/identity/over-quota", 429)
    told = {name: problem[name] for name in ("quota_id", "meter", "period", "most", "left", "resets_at")}
    bound = {"meter": "runs", "period": "month", "most": 2, "left": 0}
    assert told == bound | {"quota_id": quota["id"], "resets_at": quota["resets_at"]}
    assert len((await ada.call("GET", "/runs"))["items"]) == 2
    await used(2, 0)
    await ada.call("DELETE", f"/quotas/{quota['id']}")

    async def again():
        try:
            return await ada.call("POST", "/runs", {"graph": "passing"})
        except Problem:
            return None

    assert await eventually(again)


async def test_bytes_count_while_they_are_there_and_once_however_many_files_have_them(
    ada, bind, used, store, mesh
):
    before = await store(b"b" * 700)
    await bind("storage", "total", 1_000, "catalog")
    await used(0, 0)

    first = await store(b"x" * 300)
    await used(300, 0)
    same = await store(b"x" * 300)
    await used(300, 0)
    problem = await over(store(b"y" * 701))
    assert (problem["type"], problem["meter"], problem["most"]) == (
        "/problems/identity/over-quota", "storage", 1_000,
    )  # fmt: skip
    assert (problem["left"], problem["resets_at"]) == (700, None)

    given_up = await ada.call("POST", "/uploads", {"name": "file", "size": 100})
    await ada.call("POST", "/uploads", {"name": "file", "size": 600})
    await used(300, 700)
    await ada.call("DELETE", f"/uploads/{given_up['id']}")
    await used(300, 600)
    while await uploads.sweep(
        mesh.running["catalog"].kernel.database, Rows(), datetime.now(UTC) + timedelta(days=9)
    ):
        pass
    await used(300, 0)

    # Bytes from before the quota were never counted.
    for file, left in ((first, 300), (before, 300), (same, 0)):
        await ada.call("DELETE", f"/artifacts/{file['id']}")
        await used(left, 0)


async def test_messages_end_with_the_quota_by_http_and_by_socket(ada, bind, used):
    room = (await ada.call("POST", "/conversations", {"kind": "group", "name": "Room"}))["id"]
    path = f"/conversations/{room}/messages"
    await bind("messages", "month", 4, "messaging")

    await ada.call("POST", path, {"text": "one", "client_id": "1"})
    again = await ada.call("POST", path, {"text": "one", "client_id": "1"})
    async with socket_of(ada) as caller:
        two = await caller.call("PostMessage", {"conversation_id": room, "text": "two"}, key="k")
        repeated = await caller.call("PostMessage", {"conversation_id": room, "text": "two"}, key="k")
        stream = await ada.call("POST", f"/conversations/{room}/streams", {"client_id": "s"})
        await ada.call("POST", path, {"text": "four"})
        beyond = await caller.call("PostMessage", {"conversation_id": room, "text": "five"})
    problem = await over(ada.call("POST", path, {"text": "five"}))

    assert again["repeated"]
    assert repeated["data"] == two["data"]
    assert beyond["problem"]["type"] == problem["type"] == "/problems/identity/over-quota"
    assert (problem["status"], problem["meter"], problem["most"]) == (429, "messages", 4)
    await ada.call("POST", f"/streams/{stream['stream_id']}/text", {"at": 0, "text": "three"})
    await ada.call("POST", f"/streams/{stream['stream_id']}/end", {})
    said = (await ada.call("GET", path))["items"]
    assert {message["text"] for message in said} == {"one", "two", "three", "four"}
    await used(4, 0)


async def test_requests_end_with_the_quota_and_who_has_none_left_can_still_change_that(
    ada, quota, used, address
):
    made = await quota("requests", "month", 30)

    async def asked():
        """Once the gateway knows."""
        await ada.call("GET", "/resources")
        [found] = (await ada.call("GET", "/quotas"))["items"]
        return found["used"] + found["reserved"]

    await eventually(asked)

    async def refused():
        try:
            await ada.call("GET", "/resources")
        except Problem as problem:
            return problem.content
        return None

    problem = await eventually(refused)
    assert (problem["type"], problem["status"], problem["meter"]) == (
        "/problems/identity/over-quota", 429, "requests",
    )  # fmt: skip
    assert problem["resets_at"] == made["resets_at"]
    async with ada._http.get(f"{address}/api/v1/resources", headers=ada._headers) as answer:
        assert answer.status == 429
        assert int(answer.headers["Retry-After"]) > 0
    async with Api(address) as eve:
        await eve.sign_up(name="Eve")
        await eve.call("GET", "/resources")

    assert (await ada.call("GET", "/me"))["org_id"] == made["org_id"]
    await used(30, 0)
    await ada.call("DELETE", f"/quotas/{made['id']}")

    async def answered():
        return await refused() is None

    await eventually(answered)
