"""The component `git.read`: status, log and diff of a repository in a folder that the operator has named for runs.

The command is told to read no settings but the repository's own, and to run no hook, pager or other command that these name.
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from polis.runtime.component import Inputs, Step, StepFailed, component, message

MAX_BYTES = 500_000
"""Bytes of what the command says."""
SECONDS = 20.0
AT_ONCE = 4
MAX_FILTERS = 50
_COMMAND = (
    "git", "--no-pager", "--no-optional-locks", "--literal-pathspecs", "-c", "core.fsmonitor=false", "-c",
    "core.hooksPath=/dev/null", "-c", "core.untrackedCache=false", "-c", "core.attributesFile=/dev/null", "-c",
    "protocol.allow=never", "-c", "core.quotePath=false", "-c", "log.showSignature=false", "-c", "diff.external=",
)  # fmt: skip
_ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "LC_ALL": "C.UTF-8",
}
_FORMAT = "%H%x1f%an%x1f%ae%x1f%aI%x1f%s%x1e"
_slots = asyncio.Semaphore(AT_ONCE)


class Config(Struct, frozen=True):
    """The folder by its name, and what is asked of the repository in it."""

    folder: str
    op: Literal["status", "log", "diff"]
    path: str = ""
    limit: int = 50


class Asked(Struct, frozen=True):
    """Of which commits: `since` and `until` are commits, branches or tags."""

    since: str = ""
    until: str = ""
    paths: tuple[str, ...] = ()


@component("git.read")
async def git_read(step: Step, inputs: Inputs) -> None:
    config, asked = msgspec.convert(step.config, Config), message(inputs, "in", Asked)
    folder = step.reach.folder(config.folder)
    place = await asyncio.to_thread(_inside, folder, config.path)
    said = await _said(place, _arguments(config, asked))
    step.emit("out", _READ[config.op](said))


def _inside(folder: Path, path: str) -> Path:
    """The repository's own folder: nothing that its files say leads out of the one that the operator named."""
    place = (folder / path).resolve()
    inside = place / ".git"
    if not place.is_relative_to(folder) or inside.is_symlink() or not inside.is_dir():
        raise StepFailed("git.path", "there is no repository of its own there")
    return place


def _arguments(config: Config, asked: Asked) -> list[str]:
    for name in (asked.since, asked.until, *asked.paths):
        if name.startswith("-") or "\0" in name or len(name) > 500:
            raise StepFailed("git.name", "this is no name of a commit or path")
    paths = ["--", *asked.paths] if asked.paths else ["--"]
    if config.op == "status":
        return ["status", "--porcelain=v1", "-z", "--branch", "--ignore-submodules=all", *paths]
    if config.op == "log":
        until = asked.until or "HEAD"
        span = f"{asked.since}..{until}" if asked.since else until
        return ["log", f"--max-count={config.limit}", f"--format={_FORMAT}", "--end-of-options", span, *paths]
    commits = [name for name in (asked.since or "HEAD", asked.until) if name]
    return ["diff", "--no-ext-diff", "--no-textconv", "--no-color", "--ignore-submodules=all", "--end-of-options", *commits, *paths]  # fmt: skip


async def _said(place: Path, arguments: list[str]) -> str:
    """What the command says, told to run none of the filters that the repository's settings name."""
    names = await _run(place, ["config", "--includes", "--null", "--name-only", "--get-regexp", "^filter\\."])
    drivers = {name.removeprefix("filter.").rpartition(".")[0] for name in names.split("\0") if name}
    if len(drivers) > MAX_FILTERS:
        raise StepFailed("git.failed", "the repository names too many filters")
    none = [
        part
        for driver in sorted(drivers)
        for setting in ("clean=", "smudge=", "process=", "required=false")
        for part in ("-c", f"filter.{driver}.{setting}")
    ]
    return await _run(place, arguments, none)


async def _run(place: Path, arguments: list[str], settings: list[str] | None = None) -> str:
    where = [f"--git-dir={place / '.git'}", f"--work-tree={place}", "-c", "safe.directory=*"]
    async with _slots:
        try:
            process = await asyncio.create_subprocess_exec(
                *_COMMAND, *where, *(settings or []), *arguments, cwd=place, env=_ENVIRONMENT, stdin=-3, stdout=-1, stderr=-1
            )  # fmt: skip
        except FileNotFoundError:
            raise StepFailed("git.absent", "the command git is not installed here") from None
        try:
            async with asyncio.timeout(SECONDS):
                return await _output(process, none_is_fine=arguments[0] == "config")
        except TimeoutError:
            raise StepFailed("git.timeout", f"longer than {SECONDS:g} s") from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def _output(process: asyncio.subprocess.Process, *, none_is_fine: bool) -> str:
    if process.stdout is None or process.stderr is None:
        raise RuntimeError("a process without pipes")
    said = bytearray()
    while part := await process.stdout.read(64 * 1024):
        said += part
        if len(said) > MAX_BYTES:
            raise StepFailed("git.too_large", f"over {MAX_BYTES:,} bytes")
    why = (await process.stderr.read(4096)).decode("utf-8", "replace").strip()
    code = await process.wait()
    if code and not (none_is_fine and code == 1):
        raise StepFailed("git.failed", (why.splitlines() or ["git says no more"])[0][:300])
    return said.decode("utf-8", "replace")


def _status(said: str) -> dict[str, object]:
    parts = iter(said.split("\0"))
    branch, changes = "", []
    for part in parts:
        if part.startswith("## "):
            branch = part[3:].partition("...")[0]
        elif part:
            change = {"state": part[:2], "path": part[3:]}
            if part[0] in "RC":
                change["before"] = next(parts, "")
            changes.append(change)
    return {"branch": branch, "changes": changes}


def _log(said: str) -> dict[str, object]:
    names = ("commit", "author", "email", "date", "subject")
    rows = [row.strip("\n").split("\x1f") for row in said.split("\x1e")]
    return {"commits": [dict(zip(names, row, strict=True)) for row in rows if len(row) == len(names)]}


def _diff(said: str) -> dict[str, object]:
    return {"diff": said}


_READ = {"status": _status, "log": _log, "diff": _diff}
