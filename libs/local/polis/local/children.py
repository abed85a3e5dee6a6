"""Child processes that do not outlive their parent, and the question whether a recorded one is still the same."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import subprocess
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import IO

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if os.name == "posix" else None


class ProcessId(Struct, frozen=True):
    """A process by its number and start time, since numbers are used again."""

    pid: int
    started: str

    def alive(self) -> bool:
        return started_at(self.pid) == self.started


def identify(pid: int) -> ProcessId:
    return ProcessId(pid, started_at(pid) or "")


def started_at(pid: int) -> str | None:
    """When a process started, in the kernel's ticks; None when there is none, or only its zombie."""
    try:
        fields = (
            Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        )
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


def spawn(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    uid: int | None = None,
    stdout: int | IO[bytes] = subprocess.DEVNULL,
    death_signal: int = signal.SIGTERM,
    cwd: str | None = None,
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own; the kernel sends it `death_signal` when this one dies, however it dies."""
    return subprocess.Popen(  # noqa: S603 - commands are made here, never taken from input
        list(command),
        env=dict(env) if env is not None else None,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        cwd=cwd,
        preexec_fn=partial(_die_with_parent, death_signal),  # noqa: PLW1509 - one prctl, no allocation
        user=uid,
        group=uid,
        extra_groups=None if uid is None else [],
    )


def _die_with_parent(number: int) -> None:
    if _libc is not None and hasattr(_libc, "prctl"):
        _libc.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)


async def stop(process: subprocess.Popen[bytes], number: int, *, within_s: float) -> bool:
    """Ask a process to end; kill its group when it has not in time. Whether it ended by itself."""
    if process.poll() is None:
        process.send_signal(number)
    if await exited(process, within_s):
        return True
    kill_group(process.pid)
    await exited(process, 5.0)
    return False


async def exited(process: subprocess.Popen[bytes], within_s: float) -> bool:
    end = asyncio.get_running_loop().time() + within_s
    while process.poll() is None:
        if asyncio.get_running_loop().time() >= end:
            return False
        await asyncio.sleep(0.02)
    return True


def kill_group(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


async def end_left_over(left: ProcessId, *, number: int, within_s: float) -> None:
    """End a process that an earlier supervisor left behind, if it is still that one."""
    for attempt in (number, signal.SIGKILL):
        if not left.alive():
            return
        os.kill(left.pid, attempt)
        end = asyncio.get_running_loop().time() + within_s
        while left.alive() and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(0.05)
