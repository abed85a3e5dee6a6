"""Child processes that do not outlive their parent, and the question whether a recorded one is still the same."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import subprocess
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import IO

_PR_SET_PDEATHSIG, _PR_SET_TIMERSLACK = 1, 29
_POLL_S = 0.05
_KILLED_S = 5.0
"""How long the kernel may take to end what was killed; only a stuck disk takes that long."""
_libc = ctypes.CDLL(None, use_errno=True) if os.name == "posix" else None


class ProcessId(Struct, frozen=True):
    """A process by its number and its start, since numbers are used again. `started` holds across reboots too."""

    pid: int
    started: str

    def alive(self) -> bool:
        return bool(self.started) and started_at(self.pid) == self.started


def identify(pid: int) -> ProcessId:
    return ProcessId(pid, started_at(pid) or "")


def started_at(pid: int) -> str | None:
    """Boot and moment at which a process started; None when there is none, or only its zombie."""
    if not Path("/proc/self/stat").exists():
        return _started_without_proc(pid)
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else f"{_boot()}/{fields[19]}"


def _started_without_proc(pid: int) -> str | None:
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else str(process.create_time())
    except psutil.Error:
        return None


@cache
def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def spawn(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    user: tuple[int, int] | None = None,
    output: int | IO[bytes] = subprocess.DEVNULL,
    death_signal: int = signal.SIGTERM,
    cwd: Path | None = None,
    late_by_ns: int = 0,
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own; the kernel sends it `death_signal` when this one dies, however it dies.

    user: uid and gid to drop to. late_by_ns: how late the kernel may wake it from a sleep; 0 for as late as this one.
    Called from the main thread only: the kernel takes the thread that starts a process for its parent.
    """
    return subprocess.Popen(  # noqa: S603 - commands are made here, never taken from input
        list(command),
        env=dict(env) if env is not None else None,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        cwd=cwd,
        preexec_fn=partial(_prepare, os.getpid(), death_signal, late_by_ns),  # noqa: PLW1509 - three system calls
        user=user[0] if user else None,
        group=user[1] if user else None,
        extra_groups=[] if user else None,
    )


def _prepare(parent: int, number: int, late_by_ns: int) -> None:
    if _libc is not None and hasattr(_libc, "prctl"):
        if late_by_ns:
            _libc.prctl(_PR_SET_TIMERSLACK, late_by_ns, 0, 0, 0)
        _libc.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
        if os.getppid() != parent:  # it died before the kernel was told
            os.kill(os.getpid(), signal.SIGKILL)


async def ended(process: subprocess.Popen[bytes]) -> int:
    """The exit code, as soon as there is one."""
    if process.poll() is None:
        with suppress(OSError, AttributeError):  # only newer Linux has it; elsewhere asking again does
            await _readable(os.pidfd_open(process.pid))
    while (code := process.poll()) is None:
        await asyncio.sleep(_POLL_S)
    return code


async def _readable(descriptor: int) -> None:
    loop, seen = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, seen.set)
    try:
        await seen.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


async def ends(process: subprocess.Popen[bytes], within_s: float) -> bool:
    try:
        async with asyncio.timeout(max(within_s, 0)):
            await ended(process)
    except TimeoutError:
        return False
    return True


async def stop(process: subprocess.Popen[bytes], number: int, *, within_s: float) -> bool:
    """Ask a process to end; kill its group when it has not in time. Whether it ended by itself."""
    if process.poll() is None:
        process.send_signal(number)
    if await ends(process, within_s):
        return True
    kill_group(process)
    await ends(process, _KILLED_S)
    return False


def kill_group(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


async def end_left_over(left: ProcessId, number: int, *, within_s: float) -> None:
    """End a process that an earlier supervisor left behind, if it is still that one."""
    for attempt, patience_s in ((number, within_s), (signal.SIGKILL, _KILLED_S)):
        if not left.alive():
            return
        with suppress(ProcessLookupError):
            os.kill(left.pid, attempt)
        await _until(lambda: not left.alive(), patience_s)


def working_in(folder: Path, program: str) -> list[psutil.Process]:
    """Processes of a program whose working directory is this folder, whoever started them."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.name() == program and Path(process.cwd()) == folder:
                found.append(process)
    return found


async def gone(folder: Path, program: str, within_s: float) -> bool:
    """Whether nothing of the program works in the folder any more, waiting for it."""
    return await _until(lambda: not working_in(folder, program), within_s)


async def _until(holds: Callable[[], bool], within_s: float) -> bool:
    end = asyncio.get_running_loop().time() + within_s
    while not holds():
        if asyncio.get_running_loop().time() >= end:
            return False
        await asyncio.sleep(_POLL_S)
    return True
