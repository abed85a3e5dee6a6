"""Jobs done by commands of this host: each job is a process of its own, within bounds. Only what is allowed is ever started.

The contract of such a program is that of an agent's container: a job comes as one JSON object on its input, each line of
JSON on its output is a message (`{"port": ..., "value": ...}`), and how it ends says what came of it.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polis.worker.job import JobFailed

if TYPE_CHECKING:
    from polis.worker.job import Handler, Job

LATER = 75
"""EX_TEMPFAIL of sysexits.h: the job is to be offered again."""
MAX_OUTPUT = 1024 * 1024
_MAX_SAID = 2000
_LEAVE_S = 5.0
"""A process that was killed is gone by then, unless what it started has left its group and holds its output."""


@dataclass(frozen=True)
class Command:
    """A program that does the jobs of a component, and what it may use.

    folder: holds `config`, which it should only read, `memory`, which it keeps, and `logs`, which it writes. The bounds are
    those of an agent's container; cpu_s is of the processor's time, timeout_s of the clock's, for one job.
    """

    command: list[str]
    folder: str
    memory_mb: int = 512
    disk_mb: int = 1024
    cpu_s: int = 300
    timeout_s: float = 600.0
    processes: int = 64
    files: int = 256
    env: dict[str, str] = field(default_factory=dict)

    @property
    def bounds(self) -> dict[str, int]:
        """By the names of rlimits: sizes of files bound each file, not the disk."""
        return {
            "as": self.memory_mb * 1024 * 1024,
            "fsize": self.disk_mb * 1024 * 1024,
            "cpu": self.cpu_s,
            "nproc": self.processes,
            "nofile": self.files,
            "core": 0,
        }


def handler(allowed: Command) -> Handler:
    """What has a job done by a command."""

    async def do(job: Job) -> None:
        process = await _start(allowed)
        try:
            async with asyncio.timeout(allowed.timeout_s):
                output, said = await _converse(process, job)
        except TimeoutError:
            raise JobFailed("process.timeout", f"it took longer than {allowed.timeout_s:g} s") from None
        finally:
            await _end(process)
        if process.returncode:
            last = said.decode(errors="replace").strip().rpartition("\n")[2][:_MAX_SAID]
            kind = f"process.signal_{-process.returncode}" if process.returncode < 0 else "process.failed"
            raise JobFailed(
                kind, last or f"it ended with {process.returncode}", retryable=process.returncode == LATER
            )
        for port, value in _messages(output):
            job.emit(port, value)

    return do


async def _start(allowed: Command) -> asyncio.subprocess.Process:
    root = await asyncio.to_thread(_folder, allowed.folder)
    env = {
        "PATH": os.defpath,
        "HOME": str(root / "memory"),
        "AGENT_CONFIG": str(root / "config"),
        "AGENT_MEMORY": str(root / "memory"),
        "AGENT_LOGS": str(root / "logs"),
    }
    limits = str(Path(__file__).parent / "limits.py")
    return await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", limits, json.dumps(allowed.bounds), *allowed.command,
        stdin=PIPE, stdout=PIPE, stderr=PIPE, cwd=root / "memory", env=env | allowed.env, start_new_session=True,
    )  # fmt: skip


def _folder(path: str) -> Path:
    root = Path(path).resolve()
    for part in ("config", "memory", "logs"):
        (root / part).mkdir(parents=True, exist_ok=True)
    return root


async def _converse(process: asyncio.subprocess.Process, job: Job) -> tuple[bytes, bytes]:
    """Give it the job and hear it to its end. JobFailed when it says too much."""
    given = {
        "component": job.component,
        "key": job.key,
        "attempt": job.attempt,
        "config": job.config,
        "inputs": job.inputs,
    }
    if process.stdin is None or process.stdout is None or process.stderr is None:
        raise AssertionError("it was started with pipes")
    with suppress(ConnectionError):
        process.stdin.write(json.dumps(given).encode() + b"\n")
        process.stdin.close()
    reading = [asyncio.create_task(_read(stream)) for stream in (process.stdout, process.stderr)]
    try:
        output, said = await asyncio.gather(*reading)
        await process.wait()
    finally:
        for task in reading:
            task.cancel()
        await asyncio.wait(reading)
    return output, said


async def _read(stream: asyncio.StreamReader) -> bytes:
    parts = bytearray()
    while part := await stream.read(64 * 1024):
        parts += part
        if len(parts) > MAX_OUTPUT:
            raise JobFailed("process.output_too_large", f"it says more than {MAX_OUTPUT:,} bytes")
    return bytes(parts)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Nothing of it is left: neither it nor what it has started.

    asyncio tells of its end when its pipes are at theirs, so what it still had to say is taken, and forgotten.
    """
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(TimeoutError):
        async with asyncio.timeout(_LEAVE_S):
            await asyncio.gather(*(_drain(stream) for stream in (process.stdout, process.stderr)))
            await process.wait()


async def _drain(stream: asyncio.StreamReader | None) -> None:
    while stream is not None and await stream.read(64 * 1024):
        pass


def _messages(output: bytes) -> list[tuple[str, Any]]:
    messages = []
    for number, line in enumerate(output.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            message = json.loads(line)
            messages.append((str(message["port"]), message["value"]))
        except (ValueError, KeyError, TypeError):
            raise JobFailed("process.output_invalid", f"line {number} of its output is no message") from None
    return messages
