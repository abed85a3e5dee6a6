"""`polis run`, `polis runs`, `polis timeline`: starting runs, following them in the terminal, and looking at what they did."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import aiohttp
from msgspec import Struct
from rich.live import Live
from rich.table import Table
from rich.text import Text

from polis.cli.api import Problem
from polis.cli.following import ENDED, Following

if TYPE_CHECKING:
    from rich.console import Console

    from polis.cli.api import Api

SUCCEEDED, FAILED, REFUSED, CANCELLED = 0, 1, 2, 3
"""Exit codes: by the run's end, or that there was nothing to follow."""
_COLOURS = {
    "running": "blue", "waiting": "magenta", "retrying": "yellow", "succeeded": "green", "failed": "red",
    "cancelled": "yellow", "paused": "magenta",
}  # fmt: skip
_TOLD = frozenset({"running", "waiting", "retrying", "succeeded", "failed", "cancelled"})


class Wish(Struct, frozen=True):
    """A run that is wanted."""

    graph: str
    input: str = ""
    agent: str = ""
    environment: str = "production"
    tags: tuple[str, ...] = ()
    follow: bool = False


async def run(api: Api, wish: Wish, console: Console) -> int:
    """Start a run; with `follow` until its end. Progress goes to the console, the output alone to standard output."""
    try:
        body = {
            "graph": wish.graph,
            "input": await asyncio.to_thread(_read, wish.input),
            "environment": wish.environment,
            "tags": wish.tags,
            **({"agent": wish.agent} if wish.agent else {}),
        }
        started = await api.call("POST", "/runs", body)
        if not wish.follow:
            print(started["id"])
            return SUCCEEDED
        return await _follow(api, started, console)
    except (Problem, aiohttp.ClientError) as problem:
        return refused(problem, console)


async def listed(api: Api, asked: dict[str, str], console: Console) -> int:
    """Print the newest runs, of those that are asked for."""
    query = urlencode({name: value for name, value in asked.items() if value})
    try:
        page = await api.call("GET", f"/runs?{query}")
    except (Problem, aiohttp.ClientError) as problem:
        return refused(problem, console)
    table = Table("run", "graph", "state", "created", "took", "tags")
    for found in page["items"]:
        table.add_row(
            found["id"],
            found["graph"],
            _coloured(found["state"]),
            found["created_at"][:19].replace("T", " "),
            _took(found),
            " ".join(found["tags"]),
        )
    console.print(table)
    return SUCCEEDED


async def timeline(api: Api, run_id: str, console: Console, *, attempts: bool = False) -> int:
    """Print what each step of a run did and when; the exit code is that of the run's state."""
    try:
        found = await api.call("GET", f"/runs/{run_id}/timeline")
    except (Problem, aiohttp.ClientError) as problem:
        return refused(problem, console)
    console.print(_heading(found["run"]))
    console.print(_board(found["steps"]))
    if attempts:
        console.print(_attempts(found.get("attempts", ())))
    return _code(found["run"]["state"])


async def _follow(api: Api, started: dict[str, Any], console: Console) -> int:
    console.print(f"run [b]{started['id']}[/b]", soft_wrap=True)
    following = Following(api, started["id"])
    steps: dict[str, dict[str, Any]] = {}
    if console.is_terminal:
        with Live(console=console, refresh_per_second=8) as live:
            async for changed in following.changes():
                steps |= {step["node"]: step for step in changed}
                live.update(_board(steps.values()))
    else:
        said: dict[str, str] = {}
        async for changed in following.changes():
            for step in changed:
                _say(step, said, console)
    return await _end(api, started["id"], console)


async def _end(api: Api, run_id: str, console: Console) -> int:
    ended = await api.call("GET", f"/runs/{run_id}")
    console.print(_heading(ended))
    if ended["state"] == "succeeded":
        output = await api.call("GET", f"/runs/{run_id}/output")
        print(json.dumps(output["values"], indent=2, ensure_ascii=False))
    return _code(ended["state"])


def refused(problem: Exception, console: Console) -> int:
    """Say why nothing can be shown: what the gateway says, or that there is none."""
    word = "refused" if isinstance(problem, Problem) else "no connection"
    why = str(problem) or "there was no answer in time"
    console.print(Text.assemble((f"{word}: ", "red"), why), soft_wrap=True)
    return REFUSED


def _read(file: str) -> object:
    """The JSON object in a file, `-` for standard input. Problem for anything else."""
    if not file:
        return {}
    try:
        text = sys.stdin.read() if file == "-" else Path(file).expanduser().read_text(encoding="utf-8")
        found = json.loads(text)
    except OSError as error:
        raise Problem({"title": f"{file}: {error.strerror}."}) from None
    except ValueError as error:
        raise Problem({"title": f"{file} is no JSON: {error}."}) from None
    if not isinstance(found, dict):
        raise Problem({"title": f"{file} is no JSON object with the graph's inputs by their names."})
    return found


def _say(step: dict[str, Any], said: dict[str, str], console: Console) -> None:
    """A line for each state that a step comes to, where nothing can be drawn over."""
    if step["state"] in _TOLD and said.get(step["node"]) != step["state"]:
        said[step["node"]] = step["state"]
        error = f"  {step['error']}" if step.get("error") else ""
        line = f"{step['state']:<10} {step['node']:<28} {_lasted(step):>10}  {step['received']} in, {step['emitted']} out{error}"
        console.print(Text(line, style=_COLOURS.get(step["state"], "")), soft_wrap=True)


def _board(steps: Any) -> Table:
    table = Table("step", "component", "state")
    for heading in ("in", "out", "attempts", "from ms", "took"):
        table.add_column(heading, justify="right")
    table.add_column("error", overflow="fold")
    for step in steps:
        start = step.get("started_ms")
        table.add_row(
            Text(step["node"]),
            Text(step["component"]),
            _coloured(step["state"]),
            str(step["received"]),
            str(step["emitted"]),
            str(step["attempts"]),
            "" if start is None else str(start),
            _lasted(step),
            Text(step.get("error") or ""),
        )
    return table


def _attempts(steps: Any) -> Table:
    table = Table("step", "item", "attempt")
    for heading in ("from ms", "took", "waited", "cost"):
        table.add_column(heading, justify="right")
    table.add_column("error")
    for step in steps:
        for attempt in step["attempts"]:
            start, end = attempt["started_ms"], attempt.get("ended_ms")
            table.add_row(
                Text(step["node"]),
                attempt["item"],
                str(attempt["number"]),
                str(start),
                "" if end is None else _duration(end - start),
                _duration(attempt.get("waited_ms", 0)),
                ""
                if not attempt.get("cost")
                else f"{attempt['cost'] / 1_000_000:.6f}".rstrip("0").rstrip("."),
                Text(attempt.get("error") or ""),
            )
    return table


def _heading(run: dict[str, Any]) -> Text:
    line = Text.assemble((run["graph"], "bold"), " ", _coloured(run["state"]))
    if took := _took(run):
        line.append(f" after {took}")
    if error := run.get("error"):
        line.append(f"\n{error['step'] or 'run'}: {error['kind']}: {error['message']}", style="red")
    return line


def _coloured(state: str) -> Text:
    return Text(state, style=_COLOURS.get(state, ""))


def _took(run: dict[str, Any]) -> str:
    if not run.get("ended_at"):
        return ""
    between = datetime.fromisoformat(run["ended_at"]) - datetime.fromisoformat(run["created_at"])
    return _duration(int(between.total_seconds() * 1000))


def _lasted(step: dict[str, Any]) -> str:
    start, end = step.get("started_ms"), step.get("ended_ms")
    return "" if start is None or end is None else _duration(end - start)


def _duration(ms: int) -> str:
    return f"{ms} ms" if ms < 10_000 else f"{ms / 1000:.1f} s"


def _code(state: str) -> int:
    if state not in ENDED:
        return SUCCEEDED
    return {"succeeded": SUCCEEDED, "failed": FAILED}.get(state, CANCELLED)
