"""`polis export` and `polis import`: an org's resources as files, and files as an org's resources, all at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from rich.text import Text

from polis import graph
from polis.cli import files
from polis.cli.api import Api, Problem
from polis.cli.files import BadFiles
from polis.proto.catalog import Change, Plan, PlannedStep

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

Name = tuple[str, str]
_BODY_BYTES = 640 * 1024
"""Bytes of changes that one request carries; a longer change travels alone."""
_BODY_CHANGES = 200
_SHOWN = 12
"""Differences of one content that a plan shows."""
_SIGNS = {
    "create": "[green]+[/green]",
    "change": "[yellow]~[/yellow]",
    "delete": "[red]-[/red]",
    "none": "[yellow]![/yellow]",
}


async def export(api: Api, folder: Path, console: Console) -> int:
    """Write what the caller may see of the org into a folder; the exit code."""
    try:
        changed = files.write(folder, await current(api))
    except (Problem, BadFiles) as error:
        console.print(Text.assemble(("refused: ", "red"), str(error)), soft_wrap=True)
        return 1
    console.print(f"{len(changed)} files of {folder} changed", markup=False)
    return 0


async def current(api: Api) -> list[Change]:
    """The org's resources as changes, all as they were at one moment."""
    return [msgspec.json.decode(line, type=Change) async for line in api.lines("/export")]


class Wish(Struct, frozen=True):
    """What an import is to do. plan: nothing but show; prune: also delete what the files lack; review: only propose."""

    title: str
    plan: bool = False
    prune: bool = False
    review: bool = False


async def bring(api: Api, folder: Path, wish: Wish, console: Console) -> int:
    """Show what the files would change, and unless only that is wished, change it: all or nothing. The exit code."""
    try:
        held = await current(api)
        changes = difference(held, files.read(folder), prune=wish.prune)
        if not changes or not await _brought(api, held, changes, wish, console):
            console.print("nothing to change")
    except (Problem, BadFiles) as error:
        console.print(Text.assemble(("refused, nothing was changed: ", "red"), str(error)), soft_wrap=True)
        return 1
    return 0


async def _brought(api: Api, held: list[Change], changes: list[Change], wish: Wish, console: Console) -> bool:
    """Propose, show and apply; whether there was something to do. What is not applied or wished for does not stay."""
    set_id = await _propose(api, changes, wish)
    kept = False
    try:
        plan = msgspec.convert(await api.call("GET", f"/change-sets/{set_id}/plan"), Plan)
        if not any(map(_told_of, plan.steps)):
            return False
        _show(plan, held, changes, console)
        if all(step.effect == "none" for step in plan.steps):
            return True
        if wish.review and not wish.plan:
            console.print(f"proposed for review as change set [b]{set_id}[/b]")
            kept = True
        elif not wish.plan:
            await api.call("POST", f"/change-sets/{set_id}/apply", {"plan": plan.digest})
            console.print(f"applied as change set [b]{set_id}[/b]")
            kept = True
        return True
    finally:
        if not kept:
            await api.call("DELETE", f"/change-sets/{set_id}")


def difference(held: list[Change], wanted: list[Change], *, prune: bool) -> list[Change]:
    """What turns the one into the other. prune: also delete what the files do not have."""
    before, after = _states(held), _states(wanted)
    changes: list[Change] = []
    for name, state in after.items():
        now = before.get(name, [])
        # Nothing takes a signature away, and one that is there needs not be brought.
        changes += [change for change in state if change.action == "sign" and change not in now]
        if _told(now) == _written(name, state):
            continue
        environments = {change.environment for change in state}
        changes += [change for change in state if change.action != "sign"]
        changes += [
            Change("deactivate", change.type, change.key, environment=change.environment)
            for change in now
            if change.environment not in environments
        ]
    if prune:
        changes += [
            Change("remove", state[0].type, state[0].key)
            for name, state in before.items()
            if name not in after
        ]
    return changes


def _states(changes: list[Change]) -> dict[Name, list[Change]]:
    found: dict[Name, list[Change]] = {}
    for change in changes:
        found.setdefault((change.type, change.key), []).append(change)
    return found


def _told(state: list[Change]) -> list[bytes]:
    """What compares two states, signatures apart."""
    return [graph.canonical(msgspec.to_builtins(change)) for change in state if change.action != "sign"]


def _written(name: Name, state: list[Change]) -> list[bytes]:
    """The same of what files say. BadFiles names the resource whose content is none."""
    try:
        return _told(state)
    except graph.GraphFaults as faults:
        raise BadFiles(f"{name[0]}/{name[1]}: {faults}") from None


async def _propose(api: Api, changes: list[Change], wish: Wish) -> str:
    """Announce a set and fill it; its id."""
    made = await api.call("POST", "/change-sets", {"title": wish.title[:120], "review": wish.review})
    for part in _parts(changes):
        body = {"changes": msgspec.to_builtins(part)}
        await api.call("POST", f"/change-sets/{made['id']}/changes", body)
    return str(made["id"])


def _parts(changes: list[Change]) -> list[list[Change]]:
    """The changes in as many requests as their bytes need."""
    parts: list[list[Change]] = [[]]
    room = _BODY_BYTES
    for change in changes:
        size = len(msgspec.json.encode(change))
        if parts[-1] and (size > room or len(parts[-1]) == _BODY_CHANGES):
            parts.append([])
            room = _BODY_BYTES
        parts[-1].append(change)
        room -= size
    return parts


def _show(plan: Plan, held: list[Change], changes: list[Change], console: Console) -> None:
    """Every create, change and delete, with what changes in contents."""
    drafts = {(c.type, c.key): c.content for c in held if c.action == "put"}
    wanted = {(c.type, c.key): c.content for c in changes if c.action == "put"}
    for step in filter(_told_of, plan.steps):
        console.print(f"{_SIGNS[step.effect]} {_said(step)}", highlight=False, soft_wrap=True)
        if step.action == "put" and step.differences:
            name = (step.type, step.key)
            _show_differences(graph.differences(drafts.get(name), wanted.get(name)), console)
    counts = [sum(step.effect == effect for step in plan.steps) for effect in ("create", "change", "delete")]
    console.print("{} to create, {} to change, {} to delete".format(*counts), highlight=False)
    left_out = sum(bool(step.reason) for step in plan.steps)
    if left_out:
        console.print(f"{left_out} signatures are left out", highlight=False)


def _told_of(step: PlannedStep) -> bool:
    """Whether a plan shows a step: it does something, or a signature is left out."""
    return step.effect != "none" or bool(step.reason)


def _said(step: PlannedStep) -> str:
    text = f"{step.type}/{step.key}"
    if step.action == "sign":
        return f"{text} signed by {step.public_key}" + (f": left out, {step.reason}" if step.reason else "")
    if step.environment is not None:
        numbers = " -> ".join("none" if n is None else str(n) for n in (step.previous, step.number))
        return f"{text} in {step.environment}: {numbers}"
    return text + (f" ({', '.join(step.fields)})" if step.fields else "")


def _show_differences(found: list[graph.Difference], console: Console) -> None:
    for change in found[:_SHOWN]:
        values = [_short(v) for op, v in (("add", change.old), ("remove", change.value)) if change.op != op]
        console.print(
            f"    {change.op} {change.path or '/'}: {' -> '.join(values)}", markup=False, highlight=False
        )
    if len(found) > _SHOWN:
        console.print(f"    and {len(found) - _SHOWN} more")


def _short(value: Any, most: int = 60) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= most else text[: most - 1] + "…"
