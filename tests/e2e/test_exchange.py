"""`polis export` and `polis import`: an org's resources as files and back, nothing half, nothing unannounced."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from polis.cli import exchange, signing
from polis.cli.api import Api
from polis.cli.exchange import Wish
from tests.e2e.world import GRAPH

STAGED = json.loads(json.dumps(GRAPH).replace("1", "[1.5, 1e+30, null, true]"))


@pytest.fixture
async def org(ada):
    """An org with resources of several kinds and states."""
    shipped = await ada.call("GET", "/active/component/passthrough")
    flow = {"nodes": {"a": {"component": "mine"}}, "inputs": {"value": {"target": "a.in"}}}
    changes = [
        {
            "action": "put",
            "type": "component",
            "key": "mine",
            "content": {
                **shipped["content"],
                "key": "mine",
                "pure": False,
                "execution": {"type": "external"},
            },
        },
        {"action": "activate", "type": "component", "key": "mine", "environment": "production"},
        {
            "action": "put",
            "type": "graph",
            "key": "flow",
            "content": flow,
            "name": "Flüsse",
            "tags": ["a", "b"],
        },
        {"action": "activate", "type": "graph", "key": "flow", "environment": "production"},
        {
            "action": "activate",
            "type": "graph",
            "key": "flow",
            "environment": "staging",
            "content": STAGED,
        },
        {
            "action": "put",
            "type": "policy",
            "key": "old",
            "content": {"€": "\u2028", "n": 0.1},
            "deprecated": True,
            "deprecation": "Use another.",
            "visibility": "private",
        },
    ]
    made = await ada.call("POST", "/change-sets", {"title": "All", "review": False, "changes": changes})
    await ada.call("POST", f"/change-sets/{made['id']}/apply", {})
    return ada


@pytest.fixture
async def other(address):
    async with Api(address) as api:
        await api.sign_up(name="Other")
        yield api


class Shown:
    """Calls of the command, with what it prints."""

    def __init__(self):
        self.text = ""

    async def export(self, api, folder):
        return await self._run(exchange.export, api, folder)

    async def bring(self, api, folder, **wish):
        return await self._run(exchange.bring, api, folder, Wish("Files", **wish))

    async def _run(self, work, *args):
        out = io.StringIO()
        code = await work(*args, Console(file=out, width=300))
        self.text = out.getvalue()
        return code


@pytest.fixture
def polis():
    return Shown()


def tree(folder):
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


async def sets(api):
    return (await api.call("GET", "/change-sets"))["items"]


async def test_files_that_are_imported_and_exported_again_are_the_same_files(org, other, polis, tmp_path):
    assert await polis.export(org, tmp_path / "a") == 0
    assert await polis.bring(other, tmp_path / "a") == 0, polis.text
    assert "3 to create" not in polis.text
    await polis.export(other, tmp_path / "b")

    files = tree(tmp_path / "a")
    assert tree(tmp_path / "b") == files
    assert sorted(files) == [
        "component/mine/content.json",
        "component/mine/resource.json",
        "graph/flow/active.staging.json",
        "graph/flow/content.json",
        "graph/flow/resource.json",
        "policy/old/content.json",
        "policy/old/resource.json",
        "polis.json",
    ]
    assert await exchange.current(org) == await exchange.current(other)
    assert await polis.bring(other, tmp_path / "a") == 0
    assert "nothing to change" in polis.text
    await polis.export(org, tmp_path / "a")
    assert polis.text.startswith("0 files")


async def test_a_plan_shows_every_change_and_makes_none(org, polis, tmp_path):
    await polis.export(org, tmp_path)
    before, proposed = await exchange.current(org), await sets(org)
    content = tmp_path / "policy/old/content.json"
    content.write_text('{"n": 0.2, "new": {"a": [1]}}')
    (tmp_path / "graph/flow/resource.json").unlink()
    (tmp_path / "policy/new").mkdir()
    (tmp_path / "policy/new/content.json").write_text("{}")
    (tmp_path / "policy/new/resource.json").write_text('{"name": "New", "active": {"test": "content.json"}}')

    assert await polis.bring(org, tmp_path, plan=True, prune=True) == 0

    for line in (
        "+ policy/new", "+ policy/new in test: none -> 1", "~ policy/old", "    replace /n: 0.1 -> 0.2",
        '    add /new: {"a":[1]}', "- graph/flow", "2 to create, 1 to change, 1 to delete",
    ):  # fmt: skip
        assert line in polis.text.splitlines(), polis.text
    assert await exchange.current(org) == before
    assert await sets(org) == proposed
    await polis.bring(org, tmp_path, prune=True)
    assert {c.key for c in await exchange.current(org)} == {"mine", "new", "old"}


async def test_signatures_travel_with_what_they_vouch_for_and_those_that_vouch_for_nothing_are_shown(
    org, other, polis, tmp_path
):
    out, pen = Console(file=io.StringIO()), tmp_path / "key.pem"
    for name in ("graph/flow", "graph/flow@2"):
        assert await signing.sign(org, name, "production", pen, out) == 0, out.file.getvalue()
    folder = tmp_path / "files"
    await polis.export(org, folder)
    exported = await exchange.current(org)
    file = folder / "graph/flow/signatures.json"
    signatures = json.loads(file.read_text())
    assert sorted(signatures) == ["active.staging.json", "content.json"]
    [(public, signature)] = signatures["content.json"].items()

    assert await polis.bring(other, folder) == 0, polis.text
    unknown = f"! graph/flow signed by {public}: left out, no publisher of the org has this key"
    assert polis.text.splitlines().count(unknown) == 2
    assert "2 signatures are left out" in polis.text
    assert [c for c in await exchange.current(other) if c.action == "sign"] == []

    (folder / "graph").rename(tmp_path / "graph")
    assert await polis.bring(org, folder, prune=True) == 0, polis.text
    (tmp_path / "graph").rename(folder / "graph")
    assert await polis.bring(org, folder) == 0, polis.text
    assert polis.text.splitlines().count(f"+ graph/flow signed by {public}") == 2
    assert await exchange.current(org) == exported
    assert await signing.verify(org, "graph/flow", "staging", (public,), out) == 0
    assert await polis.bring(org, folder) == 0
    assert "nothing to change" in polis.text

    file.write_text(json.dumps({"active.staging.json": {public: signature}}))
    assert await polis.bring(org, folder) == 0
    assert f"signed by {public}: left out, it is none of this content by this key" in polis.text
    assert len(await sets(org)) == 3


async def test_one_bad_file_keeps_everything_from_being_imported(org, polis, tmp_path):
    await polis.export(org, tmp_path)
    before = await exchange.current(org)
    (tmp_path / "policy/old/content.json").write_text('{"changed": true}')
    graph = tmp_path / "graph/flow/content.json"
    for text, told in (
        ('{"nodes": {}}', "nodes"),
        ('{"a": 1, "a": 2}', "twice"),
        ("{", str(graph)),
    ):
        graph.write_text(text)
        assert await polis.bring(org, tmp_path) == 1
        assert told in polis.text
        assert await exchange.current(org) == before
    assert all(s["status"] == "applied" for s in await sets(org))


async def test_what_the_files_lack_stays_unless_it_is_pruned_and_an_environment_ends_with_its_line(
    org, polis, tmp_path
):
    await polis.export(org, tmp_path)
    head = tmp_path / "graph/flow/resource.json"
    told = json.loads(head.read_text())
    del told["active"]["staging"]
    head.write_text(json.dumps(told))
    (tmp_path / "policy/old/resource.json").unlink()

    assert await polis.bring(org, tmp_path) == 0

    assert "- graph/flow in staging: 2 -> none" in polis.text
    assert ("policy", "old") in {(c.type, c.key) for c in await exchange.current(org)}


async def test_an_import_for_review_waits(org, other, polis, tmp_path):
    await polis.export(org, tmp_path)

    assert await polis.bring(other, tmp_path, review=True) == 0

    assert [(s["status"], s["review"]) for s in await sets(other)] == [("open", True)]
    assert await exchange.current(other) == []


async def test_an_export_writes_over_an_export_and_over_nothing_else(org, polis, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")

    assert await polis.export(org, tmp_path) == 1
    assert "empty folder" in polis.text
    assert list(tree(tmp_path)) == ["mine.txt"]
