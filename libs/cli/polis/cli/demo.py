"""The main job, done as any client would: sign up, make an agent, publish a graph, run it on a mailbox, follow it live, talk."""

from __future__ import annotations

import asyncio
import json
import tarfile
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from rich.console import Console
from rich.markdown import Markdown
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from polis.cli.api import Api, Problem
from polis.graph import builtin

if TYPE_CHECKING:
    from collections.abc import Iterator

GRAPH = "email-digest"
_LOOK_S = 5.0
"""So often it is asked whether the run has ended, besides being told."""
_LONGEST_S = 120.0


async def demo(address: str, mailbox: Path, console: Console) -> int:
    """Run the digest; the exit code."""
    async with Api(address) as api:
        try:
            await _sign_up(api, console)
            await _publish(api, console)
            with _as_file(mailbox) as (file, media_type):
                artifact = await api.upload(file, name=file.name, media_type=media_type)
            console.print(
                f"stored [b]{escape(artifact['name'])}[/b], {artifact['size']:,} bytes, sha256 {artifact['sha256'][:12]}…"
            )
            given = {"artifact_id": artifact["id"], "name": artifact["name"], "size": artifact["size"]}
            return await _run(api, given, console)
        except Problem as problem:
            console.print(Text.assemble(("refused: ", "red"), str(problem)), soft_wrap=True)
            return 1


async def _sign_up(api: Api, console: Console) -> None:
    email, password = await api.sign_up()
    console.print(f"signed up as [b]{email}[/b], password {password}")
    agent = await api.call("POST", "/agents", {"key": "sarah", "name": "Sarah"})
    console.print(f"created the agent [b]{agent['agent']['key']}[/b]")


async def _publish(api: Api, console: Console) -> None:
    resource = await api.call(
        "POST",
        "/resources",
        {
            "type": "graph",
            "key": GRAPH,
            "name": "E-mail digest",
            "content": msgspec.to_builtins(builtin.graphs()[GRAPH]),
        },
    )
    version = await api.call("POST", f"/resources/{resource['id']}/versions", {"changelog": "First version."})
    await api.call(
        "PUT", f"/resources/{resource['id']}/activations/production", {"number": version["number"]}
    )
    console.print(
        f"published the graph [b]{GRAPH}[/b], version {version['number']}, {version['digest'][:12]}…"
    )


async def _let_answer(api: Api, mailbox: dict[str, Any], console: Console) -> None:
    """Have the agents that ship answer whoever talks to them, and begin a conversation with one."""
    sarah = await api.call("POST", "/assistants/sarah/install", {"settings": {"mailbox": mailbox}})
    await api.call("POST", "/assistants/echo/install", {})
    conversation = await api.call("POST", "/conversations/direct", {"principal_id": sarah["agent_id"]})
    console.print("[b]sarah[/b] knows this mailbox, and [b]echo[/b] is there, too; ask her “what is new?” at")
    console.print(f"{api.address}/chat#{conversation['id']}", soft_wrap=True)


async def _run(api: Api, mailbox: dict[str, Any], console: Console) -> int:
    run = await api.call("POST", "/runs", {"graph": GRAPH, "agent": "sarah", "input": {"mailbox": mailbox}})
    console.print(f"run [b]{run['id']}[/b] as sarah")
    run = await _ended(api, run["id"], console)
    if run["state"] != "succeeded":
        error = json.dumps(run.get("error"), ensure_ascii=False)
        console.print(Text.assemble((run["state"], "red"), f" {error}"), soft_wrap=True)
        return 1
    output = await api.call("GET", f"/runs/{run['id']}/output")
    console.print(Markdown(output["values"]["digest"]))
    console.print(_timeline(await api.call("GET", f"/runs/{run['id']}/timeline")))
    await _let_answer(api, mailbox, console)
    console.print(f"the mesh stays up at [b]{api.address}[/b]; `make down` ends it")
    return 0


async def _ended(api: Api, run_id: str, console: Console) -> dict[str, Any]:
    """The run as it ended, shown while it lasts; as it is after a while that none of this kind takes."""
    path, end = f"/runs/{run_id}", time.monotonic() + _LONGEST_S
    following = asyncio.create_task(_follow(api, run_id, console))
    try:
        while True:
            await asyncio.wait((following,), timeout=_LOOK_S)
            run: dict[str, Any] = await api.call("GET", path)
            if run["ended_at"] is not None or time.monotonic() > end:
                return run
            if following.done():
                following.result()
                await asyncio.sleep(_LOOK_S)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)  # the run has ended without it


async def _follow(api: Api, run_id: str, console: Console) -> None:
    shown: dict[str, str] = {}
    async for frame in api.follow(f"run/{run_id}"):
        if frame["op"] == "snapshot":
            steps = frame["data"]["steps"] + [
                t["step"] for t in frame["data"]["transitions"] if t.get("step")
            ]
        elif frame["op"] == "events":
            steps = [t["step"] for t in frame["data"] if t.get("step")]
        else:
            break
        for step in steps:
            _show(step, shown, console)


def _show(step: dict[str, Any], shown: dict[str, str], console: Console) -> None:
    line = f"  {step['state']:<10} {step['title'] or step['node']:<28} {step['received']:>6} in {step['emitted']:>6} out"
    if shown.get(step["node"]) != line and step["state"] != "pending":
        shown[step["node"]] = line
        console.print(line)


def _timeline(timeline: dict[str, Any]) -> Table:
    table = Table(title=f"{timeline['run']['graph']}: {timeline['run']['state']}")
    for heading in ("step", "component", "activity"):
        table.add_column(heading)
    for heading in ("in", "out", "from ms", "ms"):
        table.add_column(heading, justify="right")
    for step in timeline["steps"]:
        start, end = step["started_ms"], step["ended_ms"]
        took = "" if start is None or end is None else str(end - start)
        counts = (str(step["received"]), str(step["emitted"]), "" if start is None else str(start), took)
        table.add_row(step["node"], step["component"], step["activity"], *counts)
    return table


@contextmanager
def _as_file(mailbox: Path) -> Iterator[tuple[Path, str]]:
    """The mailbox as one file: an mbox as it is, a maildir packed into a tar."""
    if mailbox.is_dir():
        with tempfile.TemporaryDirectory() as folder:
            packed = Path(folder) / (mailbox.resolve().name + ".tar")
            with tarfile.open(packed, "w") as tar:
                tar.add(mailbox, arcname=mailbox.resolve().name)
            yield packed, "application/x-tar"
    elif mailbox.is_file():
        yield mailbox, "application/mbox"
    else:
        raise Problem({"title": f"There is no mailbox at {mailbox}."})
