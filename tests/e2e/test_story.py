"""The main job, told through the public gateway alone: somebody has an agent make a digest of a mailbox.

Then the same with a large mailbox and with a maildir, and an agent that is deleted while it works.
"""

from __future__ import annotations

import asyncio
import mailbox
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from polis.cli.api import Api, Problem
from polis.cli.demo import _as_file
from polis.graph import builtin
from polis.proto.registry import SERVICES
from polis.testing.mailbox import mbox
from tests.chaos.processes import Process

SAMPLE = Path(__file__).parent.parent.parent / "samples" / "mailbox.mbox"
DIGEST = msgspec.to_builtins(builtin.graphs()["email-digest"])
LARGE = 2_000
"""Mails of a mailbox of some 50 MB."""
PROGRESS = 5
"""Counts of mails, between none and all, that a follower sees at the least."""
NOTHING = {
    "nodes": {"pass": {"component": "passthrough"}},
    "inputs": {"value": {"target": "pass.in", "required": False, "default": 1}},
}


@pytest.fixture(scope="module")
async def mesh(stage, tmp_path_factory):
    """The runtime is a process of its own, so that its memory can be seen."""
    for service in SERVICES:
        if service.name != "runtime":
            await stage.start(service.name)
    stage.runtime = Process(
        ["-m", "polis.runtime"], stage.settings("runtime"), tmp_path_factory.mktemp("runtime") / "log"
    )
    stage.runtime.start()
    await stage.runtime.ready()
    yield stage
    stage.runtime.end()


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A large mailbox."""
    file = tmp_path_factory.mktemp("large") / "large.mbox"
    file.write_bytes(b"".join(mbox(LARGE, attachment_bytes=250_000)))
    return file


async def publish(api: Api, key: str, content: object) -> dict:
    """Make a graph, and put its first version into production."""
    graph = await api.call("POST", "/resources", {"type": "graph", "key": key, "content": content})
    version = await api.call("POST", f"/resources/{graph['id']}/versions", {})
    await api.call("PUT", f"/resources/{graph['id']}/activations/production", {"number": version["number"]})
    return version


async def store(api: Api, file: Path, media_type: str = "application/mbox") -> dict:
    """Upload a file: how graphs refer to it."""
    artifact = await api.upload(file, name=file.name, media_type=media_type)
    return {"artifact_id": artifact["id"], "name": artifact["name"], "size": artifact["size"]}


def digesting(file: dict, agent: str | None = None) -> dict:
    """A request to run the digest, as somebody's agent or as oneself."""
    return {"graph": "email-digest", "input": {"mailbox": file}, "agent": agent}


async def digest(api: Api, file: dict, agent: str | None = None) -> dict:
    return await api.call("POST", "/runs", digesting(file, agent))


async def follow(api: Api, run: dict) -> list[dict]:
    """Every transition of a run, live, until its end."""
    transitions = []
    async for frame in api.follow(f"run/{run['id']}", after=0):
        if frame["op"] == "snapshot":
            transitions += frame["data"]["transitions"]
        elif frame["op"] == "events":
            transitions += frame["data"]
    return transitions


async def refusal(api: Api, method: str, path: str, body: object = None) -> dict:
    with pytest.raises(Problem) as caught:
        await api.call(method, path, body)
    return caught.value.content


async def test_an_agent_makes_a_digest_of_somebodys_mailbox(api):
    await api.sign_up(name="Ada")
    me = await api.call("GET", "/me")
    sarah = (await api.call("POST", "/agents", {"key": "sarah", "name": "Sarah"}))["agent"]
    version = await publish(api, "email-digest", DIGEST)
    mails = await store(api, SAMPLE)

    run = await digest(api, mails, agent="sarah")
    transitions = await follow(api, run)
    ended = await api.call("GET", f"/runs/{run['id']}")
    output = await api.call("GET", f"/runs/{run['id']}/output")
    timeline = await api.call("GET", f"/runs/{run['id']}/timeline")

    assert (run["actor_id"], run["started_by"]) == (sarah["id"], me["principal"]["id"])
    assert (ended["state"], ended["digest"]) == ("succeeded", version["digest"])
    assert [t["seq"] for t in transitions] == list(range(1, len(transitions) + 1))
    assert (transitions[0]["state"], transitions[-1]["state"]) == ("running", "succeeded")
    text = output["values"]["digest"]
    assert text.startswith(
        "# Email digest\n\n16 mails read, 4 of them bulk mail and left out. Conversations: 6."
    )
    assert "## Squeaking brakes after two weeks" in text
    assert output["values"]["mails"]["mails"] == 16
    steps = {step["node"]: step for step in timeline["steps"]}
    assert list(steps) == list(DIGEST["nodes"])
    assert {step["state"] for step in steps.values()} == {"succeeded"}
    assert (steps["read"]["emitted"], steps["personal"]["received"]) == (17, 16)
    assert all(step["started_ms"] <= step["ended_ms"] for step in steps.values())


async def test_a_large_mailbox_is_read_with_visible_progress_in_bounded_memory(ada, mesh, large):
    await follow(ada, await digest(ada, await store(ada, SAMPLE)))
    before = peak_memory(mesh.runtime)

    run = await digest(ada, await store(ada, large))
    transitions = await follow(ada, run)
    growth = peak_memory(mesh.runtime) - before
    output = await ada.call("GET", f"/runs/{run['id']}/output")

    assert transitions[-1]["state"] == "succeeded"
    assert output["values"]["mails"]["mails"] == LARGE
    read = [t["step"]["emitted"] for t in transitions if t["step"] and t["step"]["node"] == "read"]
    assert read == sorted(read)
    assert len({count for count in read if 0 < count < LARGE}) >= PROGRESS
    assert growth < large.stat().st_size / 2


def peak_memory(process: Process) -> int:
    """Bytes, the most that it ever had."""
    status = Path(f"/proc/{process.child.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


async def test_a_maildir_gives_the_same_digest_as_the_mbox_of_its_mails(ada, tmp_path):
    maildir = mailbox.Maildir(tmp_path / "Mail dir")
    with closing(mailbox.mbox(SAMPLE)) as mbox_:
        for mail in mbox_:
            maildir.add(mail.as_bytes().replace(b"\n>From ", b"\nFrom "))

    outputs = []
    for place in (SAMPLE, tmp_path / "Mail dir"):
        with _as_file(place) as (file, media_type):
            run = await digest(ada, await store(ada, file, media_type))
        await follow(ada, run)
        outputs.append((await ada.call("GET", f"/runs/{run['id']}/output"))["values"])

    assert outputs[0]["digest"] == outputs[1]["digest"]
    assert (outputs[0]["mails"]["format"], outputs[1]["mails"]["format"]) == ("mbox", "tar")


async def test_the_runs_of_an_agent_that_is_deleted_are_cancelled(ada, large):
    agent = (await ada.call("POST", "/agents", {"key": "sarah", "name": "Sarah"}))["agent"]
    mails = await store(ada, large)
    hers, mine = await digest(ada, mails, agent="sarah"), await digest(ada, mails)
    following = asyncio.create_task(follow(ada, hers))

    await ada.call("DELETE", f"/agents/{agent['id']}")
    transitions = await asyncio.wait_for(following, 30)
    timeline = await ada.call("GET", f"/runs/{hers['id']}/timeline")
    output = await refusal(ada, "GET", f"/runs/{hers['id']}/output")
    another = await refusal(ada, "POST", "/runs", digesting(mails, agent="sarah"))

    assert (transitions[-1]["state"], transitions[-1]["step"]) == ("cancelled", None)
    assert timeline["run"]["state"] == "cancelled"
    assert {step["state"] for step in timeline["steps"]} == {"cancelled"}
    assert output["type"] == "/problems/runtime/no-output-yet"
    assert another["type"] == "/problems/runtime/agent-unknown"
    assert (await ada.call("POST", f"/runs/{mine['id']}/cancel"))["state"] == "cancelled"


async def test_runs_are_listed_in_pages_while_new_ones_are_started(ada):
    await publish(ada, "nothing", NOTHING)
    started = [(await ada.call("POST", "/runs", {"graph": "nothing"}))["id"] for _ in range(7)]

    listed, after = [], ""
    while after is not None:
        page = await ada.call("GET", f"/runs?limit=3{after and '&after=' + after}")
        listed += [run["id"] for run in page["items"]]
        after = page["next_cursor"]
        await ada.call("POST", "/runs", {"graph": "nothing"})

    assert listed == started[::-1]


async def test_a_run_takes_the_version_that_its_caller_has_just_activated(api):
    """The runtime keeps what the catalog told it, and hears of a change before who made it has an answer."""
    await api.sign_up()
    version = await publish(api, "changing", constant(1))
    for number in range(2, 12):
        path = f"/resources/{version['resource_id']}"
        await api.call("PUT", f"{path}/draft", {"content": constant(number), "revision": number - 1})
        await api.call("POST", f"{path}/versions", {})
        await api.call("PUT", f"{path}/activations/production", {"number": number})
        run = await api.call("POST", "/runs", {"graph": "changing"})
        assert (await api.call("GET", f"/runs/{run['id']}/output"))["values"] == {"value": number}


def constant(value: int) -> dict:
    return {
        "nodes": {"pass": {"component": "passthrough"}},
        "inputs": {"value": {"target": "pass.in", "default": value, "required": False}},
        "outputs": {"value": {"source": "pass.out"}},
    }
