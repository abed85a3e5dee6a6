"""What an org bounds is counted by identity and refused by who would do it: runs by the runtime, bytes by the catalog."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from polis.catalog.files import uploads
from polis.catalog.files.blobs import Rows
from polis.cli.api import Problem
from polis.testing import eventually

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
def bind(ada, mesh):
    """Set a quota of the org; back when the one that enforces it knows."""

    async def bind(meter, period, most, service):
        quota = await ada.call(
            "PUT", "/quotas", {"subject": {"kind": "org"}, "meter": meter, "period": period, "most": most}
        )
        table = f"select q.id from {service}.quotas q where q.id = $1"

        async def known():
            async with mesh.running[service].kernel.database.across_orgs() as tx:
                return await tx.value(table, quota["id"])

        await eventually(known)
        return quota

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
