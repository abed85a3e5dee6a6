"""Processes of the mesh that a test starts, kills, freezes and ends. Each is ended by its own id."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

import aiohttp
import psutil

from polis.local.children import ended, ends, kill_group, spawn, working_in
from polis.local.ports import free_port
from polis.testing import eventually

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence
    from pathlib import Path

    from polis.local.postgres import Postgres

START_S = 60.0
_NEVER_S = 60.0


class Process:
    """A Python process with the settings of a service in its environment; `log` is the file that it writes to."""

    def __init__(self, command: Sequence[str], settings: Any, log: Path) -> None:
        self._command = [sys.executable, "-P", *command]
        names = settings.__struct_fields__
        given = {f"POLIS_{n.upper()}": str(getattr(settings, n)) for n in names if n != "port"}
        self.port = free_port()
        self._environment = {k: v for k, v in given.items() if v} | {
            "POLIS_PORT": str(self.port),
            **{name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ},
        }
        self._log = log
        self.child: subprocess.Popen[bytes] | None = None

    @property
    def alive(self) -> bool:
        return self.child is not None and self.child.poll() is None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.child = spawn(self._command, env=self._environment, output=log)

    def kill(self) -> None:
        """As the kernel does it when memory runs out."""
        assert self.child is not None
        kill_group(self.child)
        self.child.wait()

    def freeze(self) -> None:
        assert self.child is not None
        self.child.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.child is not None
        self.child.send_signal(signal.SIGCONT)

    async def terminate(self) -> tuple[int, float]:
        """Ask it to end: its exit code, and how many seconds that took."""
        assert self.child is not None
        started = time.monotonic()
        self.child.send_signal(signal.SIGTERM)
        assert await ends(self.child, _NEVER_S), self.last_words()
        return self.child.returncode, time.monotonic() - started

    async def ended(self) -> int:
        assert self.child is not None
        return await ended(self.child)

    async def health(self) -> tuple[int, dict[str, Any]]:
        """Status and body of /health/ready; 0 when nobody answers."""
        timeout = aiohttp.ClientTimeout(total=5)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(f"http://127.0.0.1:{self.port}/health/ready") as answer,
            ):
                return answer.status, await answer.json()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return 0, {"error": repr(error)}

    async def ready(self, within_s: float = START_S) -> float:
        """Seconds until it was ready."""
        started = time.monotonic()

        async def look():
            assert self.alive, self.last_words()
            return (await self.health())[0] == 200

        await eventually(look, within_s=within_s)
        return time.monotonic() - started

    def last_words(self) -> str:
        """Its exit code, which alone tells of a crash, and the end of its log."""
        log = self._log.read_bytes()[-3000:].decode(errors="replace") if self._log.exists() else "no log"
        return f"exit code {self.child and self.child.poll()}; {log}"

    def end(self) -> None:
        """Whatever state it is in."""
        if self.alive:
            self.resume()
            self.kill()


def backends(postgres: Postgres, name: str) -> list[psutil.Process]:
    """The server's processes that serve connections of the role `name`."""
    found = []
    for process in working_in(postgres.data.resolve(), "postgres"):
        try:
            if f" {name} " in " ".join(process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


def stop_all(postgres: Postgres) -> list[psutil.Process]:
    """Freeze every process of a PostgreSQL; those that were frozen."""
    found = working_in(postgres.data.resolve(), "postgres")
    for process in found:
        process.suspend()
    return found
