"""Commands as a person gives them in a terminal: each ends in time, or tells what it was doing."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

import psutil

ROOT = Path(__file__).parent.parent.parent
LINES = 40
_DUMP_S = 5


class Hung(AssertionError):
    """A command has not ended in time: what it and the mesh have said, and what ran."""


def run(
    *command: str, env: dict[str, str], within_s: float, cwd: Path = ROOT, logs: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Output goes to files: whoever else holds a pipe's end would be waited for.

    logs: a folder of those of the mesh that the command is about.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = subprocess.Popen(
            # A stack is asked for by a signal that would leave a core behind, too.
            ["sh", "-c", 'ulimit -c 0; exec "$0" "$@"', *command],
            cwd=cwd,
            env=env | {"PYTHONFAULTHANDLER": "1"},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
        try:
            child.wait(within_s)
        except subprocess.TimeoutExpired:
            ran = _end(child)
            said = f"{_text(out)}\n--- its errors:\n{_text(err)}"
            problem = f"`{' '.join(command)}` has not ended in {within_s:.0f} s"
            logged = "" if logs is None else last_words(logs)
            raise Hung(f"{problem}; it ran:\n{ran}\n--- it said:\n{said}\n{logged}") from None
        return subprocess.CompletedProcess(command, child.returncode, _text(out), _text(err))


def last_words(logs: Path) -> str:
    """The end of each log of a mesh."""
    told = []
    for log in sorted(logs.glob("*.log")):
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LINES:]
        told.append("\n".join([f"--- {log.name}:", *lines]))
    return "\n".join(told)


def _end(child: subprocess.Popen[bytes]) -> str:
    """End a command and all that it has started in its session; what that was. Python tells its stack to its errors."""
    family = [psutil.Process(child.pid), *psutil.Process(child.pid).children(recursive=True)]
    ran = "\n".join(_shown(each) for each in family)
    for number in (signal.SIGABRT, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        psutil.wait_procs(family, timeout=_DUMP_S)
    child.wait(_DUMP_S)
    return ran


def _shown(process: psutil.Process) -> str:
    try:
        return f"{process.pid} {process.status()} {' '.join(process.cmdline())}"
    except psutil.Error:
        return f"{process.pid} has ended"


def _text(file) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
