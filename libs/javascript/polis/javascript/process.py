"""One worker process as its pool sees it: what was asked of it and not answered, and until when that may take."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections import OrderedDict, deque
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec

from polis.javascript import frames
from polis.javascript.script import Script

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent
GRACE_S = 4.0
"""Beyond a script's own time: for a machine that is busy, and for what the engine does not count."""
START_S = 20.0
MAX_SCRIPTS = 64
"""Scripts that a worker is given before it is told to forget the oldest."""
READ_BYTES = 256 * 1024
_encode = msgspec.json.Encoder().encode


class Asked(Protocol):
    """A call as a worker takes it. alone, slow: nothing stands behind it."""

    script: Script
    body: bytes
    kind: int
    alone: bool
    slow: bool

    def answered(self, kind: int, took_s: float, body: bytes) -> None: ...


class Process:
    """A worker that was started. `asked` is answered in its order.

    over: called once, when the process is gone, with what it has not answered; late: whether that was because it took too
    long. freed: called whenever it could take more. bytes: of what is asked. why: it could not be started.
    """

    def __init__(self, over: Callable[[Process, list[Asked], bool], None], freed: Callable[[], None]) -> None:
        self.asked: deque[Asked] = deque()
        self.retired = False
        self.held: list[str] = []
        self.idle_since = 0.0
        self.bytes = 0
        self.pid = 0
        self.why = ""
        self._over = over
        self._freed = freed
        self._late = False
        self._process: asyncio.subprocess.Process
        self._known: OrderedDict[tuple[str, bytes], int] = OrderedDict()
        self._next = 1
        self._out: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None
        self._head_since = 0.0

    async def run(self) -> None:
        """Start it, and read its answers until it is gone."""
        try:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-S", "-B", str(HERE / "worker.py"), _engine_folder(),
                stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env={"TZ": "UTC0"}, cwd="/", start_new_session=True,
            )  # fmt: skip
            self.pid = self._process.pid
            self._arm(START_S)
            self._flush()
            await self._read()
        except (OSError, ValueError) as error:
            self.why = str(error)
        finally:
            self.stop()
            if self.pid:
                await asyncio.shield(self._process.wait())
            self._ended()

    def ask(self, asked: Asked) -> None:
        """Give it a call; what is given within one turn of the loop is written together."""
        if not self.asked:
            self._head_since = asyncio.get_running_loop().time()
        self.asked.append(asked)
        self.bytes += len(asked.body)
        if asked.kind == frames.CHECK:
            self._put(frames.frame(frames.CHECK, 0, _encode(asked.script)))
        else:
            number = self._number(asked.script)
            self._put(frames.frame(frames.CALL, 0, number.to_bytes(4, "little") + asked.body))
        if self._timer is None and self.held:
            self._arm(asked.script.timeout_s + GRACE_S)

    def stop(self) -> None:
        """End it. What it has not answered is handed back."""
        if self.pid and self._process.returncode is None:
            # Not by Popen: it would look for its end first, and take that from whoever waits for it.
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def _number(self, script: Script) -> int:
        key = script.key
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._next
            self._next += 1
            self._put(frames.frame(frames.LOAD, found, _encode(script)))
            if len(self._known) > MAX_SCRIPTS:
                _, oldest = self._known.popitem(last=False)
                self._put(frames.frame(frames.DROP, oldest))
        self._known.move_to_end(key)
        return found

    def _put(self, data: bytes) -> None:
        if not self._out and self.pid:
            asyncio.get_running_loop().call_soon(self._flush)
        self._out.append(data)

    def _flush(self) -> None:
        stdin = self._process.stdin
        if stdin is not None and self._out and not stdin.is_closing():
            stdin.write(b"".join(self._out))
        self._out.clear()

    async def _read(self) -> None:
        reader, stdout = frames.Frames(), self._process.stdout
        while stdout is not None and (data := await stdout.read(READ_BYTES)):
            for kind, micros, body in reader.feed(data):
                self._take(kind, micros / 1e6, body)
            self._head_since = self.idle_since = asyncio.get_running_loop().time()
            self._freed()

    def _take(self, kind: int, took_s: float, body: bytes) -> None:
        if kind == frames.READY:
            self.held = msgspec.json.decode(body, type=list[str])
            self._disarm()
            if self.asked:
                self._arm(self.asked[0].script.timeout_s + GRACE_S)
        elif kind == frames.RETIRED:
            self.retired = True
        elif self.asked:
            asked = self.asked.popleft()
            self.bytes -= len(asked.body)
            asked.answered(kind, took_s, body)

    def _arm(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._look)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        """Whether the call at its head has had its time; a worker that does not start in time is late too."""
        self._timer = None
        if not self.held:
            self._late = True
            self.stop()
        elif self.asked:
            due = self._head_since + self.asked[0].script.timeout_s + GRACE_S
            left = due - asyncio.get_running_loop().time()
            if left > 0:
                self._arm(left)
            else:
                self._late = True
                self.stop()

    def _ended(self) -> None:
        self._disarm()
        self.retired = True
        unanswered = list(self.asked)
        self.asked.clear()
        self._over(self, unanswered, self._late)


def _engine_folder() -> str:
    found = importlib.util.find_spec("_quickjs")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("_quickjs")
    return os.path.dirname(found.origin)  # noqa: PTH120 - a text for a command line
