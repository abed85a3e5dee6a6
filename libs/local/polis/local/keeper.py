"""One service's process: started, watched over its health port, started again when it ends by itself."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import time
from typing import TYPE_CHECKING

from polis.local.children import ended, spawn, stop
from polis.local.failures import in_words
from polis.local.health import faults_at

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    Show = Callable[[str, str, str], None]

HEALTHY_S = 30.0
"""What ran this long starts its pauses anew."""
PAUSES_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
HOPELESS = 4
"""A service that ended so often before it was ever ready keeps the mesh from being ready."""
_SOON_S, _CALM_S = 0.1, 2.0
_LAST_LINE = 160


class Backoff:
    """How long to wait before the next start."""

    def __init__(self) -> None:
        self.attempt = 0

    def pause(self, lived_s: float) -> float:
        if lived_s > HEALTHY_S:
            self.attempt = 0
        self.attempt += 1
        return PAUSES_S[min(self.attempt, len(PAUSES_S)) - 1]


class Keeper:
    """`place` and `environment` are asked for at every start: a port may have been taken. `started` hears of each process."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        place: Callable[[], tuple[str, int]],
        environment: Callable[[tuple[str, int]], Mapping[str, str]],
        log: Path,
        show: Show,
        started: Callable[[str, subprocess.Popen[bytes]], None],
        tls: bool = False,
    ) -> None:
        self.name = name
        self.ready = asyncio.Event()
        self.hopeless = asyncio.Event()
        self._command = command
        self._environment = environment
        self._place = place
        self._log = log
        self._show = show
        self._started = started
        self._tls = tls
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = False

    async def run(self) -> None:
        """Until it is stopped."""
        backoff = Backoff()
        while not self._stopping:
            began = time.monotonic()
            how = await self._run_once()
            if self._stopping:
                return
            pause = backoff.pause(time.monotonic() - began)
            if backoff.attempt >= HOPELESS and not self.ready.is_set():
                self.hopeless.set()
            self._show(self.name, "failed", f"{how}; starts again in {pause:g} s")
            await asyncio.sleep(pause)

    async def settled(self) -> None:
        """Until it was ready once, or has given no hope of that."""
        waits = [asyncio.create_task(event.wait()) for event in (self.ready, self.hopeless)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def stop(self, within_s: float) -> None:
        self._stopping = True
        if self._process is None or self._process.poll() is not None:
            self._show(self.name, "stopped", "")
            return
        self._show(self.name, "stopping", "")
        by_itself = await stop(self._process, signal.SIGTERM, within_s=within_s)
        self._show(self.name, "stopped", "" if by_itself else "had to be killed")

    async def _run_once(self) -> str:
        """Start it and wait for its end; how it ended, in words."""
        try:
            place = self._place()
            with self._log.open("ab") as log:
                self._process = spawn(self._command, env=self._environment(place), output=log)
        except OSError as error:
            return in_words(error)
        self._started(self.name, self._process)
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(self._follow_health(*place))
            code = await ended(self._process)
            watch.cancel()
        return f"ended {_how(code)}: {self._last_line()}"

    async def _follow_health(self, host: str, port: int) -> None:
        was_ready = False
        self._show(self.name, "starting", "")
        while True:
            faults = await faults_at(host, port, tls=self._tls)
            if faults == "":
                was_ready = True
                self.ready.set()
                self._show(self.name, "ready", f"port {port}")
            elif was_ready:
                self._show(self.name, "unready", faults or "does not answer")
            else:
                self._show(self.name, "starting", faults or "")
            await asyncio.sleep(_SOON_S if faults != "" else _CALM_S)

    def _last_line(self) -> str:
        try:
            lines = self._log.read_bytes()[-4096:].decode(errors="replace").strip().splitlines()
        except OSError:
            lines = []
        return (lines or ["it left no log"])[-1][-_LAST_LINE:]


def _how(code: int) -> str:
    try:
        return f"by {signal.Signals(-code).name}" if code < 0 else f"with {code}"
    except ValueError:
        return f"with {code}"
