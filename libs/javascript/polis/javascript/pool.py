"""Calls of scripts, shared out to a few worker processes: fair between owners, and nobody's call fails for another's."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Self

import msgspec

from polis.javascript import frames
from polis.javascript.kinds import kind_of
from polis.javascript.pending import Pending
from polis.javascript.process import Process
from polis.javascript.script import Call, Script, ScriptFailed

if TYPE_CHECKING:
    from types import TracebackType

    from polis.javascript.process import Asked

Emitted = list[tuple[str, object]]

IDLE_S = 30.0
"""A worker without work for this long is ended: at rest scripts cost nothing."""
WINDOW = 64
"""Quick calls that stand in one worker at a time."""
WINDOW_BYTES = 4 * 1024 * 1024
DEEP = 8
"""So many quick calls in front of a worker are reason to start another."""
QUICK_S = 0.002
"""A script whose calls took longer lately gets a worker to itself for each."""
MAX_CALL_BYTES = 4 * 1024 * 1024
MAX_WAITING = 10_000
"""Calls of one owner that may wait."""
_TIMES = 1024
"""Scripts whose time is remembered."""
_STARTS = 3
"""Workers in a row that ended before they were ready: then there is something wrong here, and calls are refused."""

_UNAVAILABLE = ("unavailable", "scripts cannot be run here now")

_answer = msgspec.json.Decoder(tuple[Emitted, str | None])


class Pool:
    """Worker processes, started when there are calls and ended when there are none.

    most: processes at a time. One owner's slow calls take all of them but one.
    """

    def __init__(self, most: int = 2, *, idle_s: float = IDLE_S) -> None:
        self._most = most
        self._idle_s = idle_s
        self._processes: list[Process] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: OrderedDict[str, deque[Pending]] = OrderedDict()
        self._slow: dict[str, int] = {}
        self._times: OrderedDict[tuple[str, bytes], float] = OrderedDict()
        self._sweep: asyncio.TimerHandle | None = None
        self._stillborn = 0
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End every worker; what waits for one fails."""
        self._closed = True
        if self._sweep is not None:
            self._sweep.cancel()
        for queue in self._waiting.values():
            for pending in queue:
                pending.failed(*_UNAVAILABLE)
        for process in self._processes:
            process.stop()
        if self._tasks:
            await asyncio.wait(self._tasks)

    @property
    def processes(self) -> list[Process]:
        """Those that live."""
        return list(self._processes)

    async def call(self, script: Script, call: Call) -> Emitted:
        """What the script emits for a message, port and value. ScriptFailed; TypeError when the message is no JSON."""
        answer = await self._ask(script, frames.CALL, call.encoded())
        try:
            emitted, error = _answer.decode(answer)
        except (msgspec.DecodeError, UnicodeError):
            raise ScriptFailed(
                "error", "what it emits is not Unicode text, or no number that JSON has"
            ) from None
        if error is not None:
            raise ScriptFailed(kind_of(error), error)
        return emitted

    async def check(self, script: Script) -> None:
        """ScriptFailed (`invalid`, or what it does while it is loaded) unless the script can be called."""
        wrong = msgspec.json.decode(await self._ask(script, frames.CHECK, b""), type=str)
        if wrong:
            raise ScriptFailed("invalid", wrong)

    async def _ask(self, script: Script, kind: int, body: bytes) -> bytes:
        if len(body) > MAX_CALL_BYTES:
            raise ScriptFailed(
                "too_large", f"a message of {len(body):,} bytes; {MAX_CALL_BYTES:,} are the most"
            )
        queue = self._waiting.setdefault(script.owner, deque())
        if self._closed or len(queue) >= MAX_WAITING:
            raise ScriptFailed("overloaded", "too many calls wait")
        pending = Pending(script, kind, body, self._left)
        queue.append(pending)
        self._share_out()
        return await pending.future

    # Sharing out

    def _share_out(self) -> None:
        """Give calls to workers, one owner after another, until no worker takes any."""
        placed = True
        while placed and self._waiting:
            placed = False
            for owner in list(self._waiting):
                queue = self._waiting[owner]
                while queue and queue[0].future.done():
                    queue.popleft()
                if not queue:
                    del self._waiting[owner]
                elif self._place(owner, queue[0]):
                    queue.popleft()
                    placed = True

    def _place(self, owner: str, pending: Pending) -> bool:
        quick = self._is_quick(pending)
        if not quick and self._slow.get(owner, 0) >= max(1, self._most - 1):
            return False
        process = self._process_for(quick=quick)
        if process is None:
            return False
        if not quick:
            pending.slow = True
            self._slow[owner] = self._slow.get(owner, 0) + 1
        process.ask(pending)
        return True

    def _process_for(self, *, quick: bool) -> Process | None:
        """An idle worker; for a quick call also one with a few of its kind; else a new one."""
        open_ = [process for process in self._processes if not process.retired]
        idle = next((process for process in open_ if not process.asked), None)
        if idle is not None:
            return idle
        shared = min((p for p in open_ if quick and _shares(p)), key=lambda p: len(p.asked), default=None)
        if len(self._processes) < self._most and (shared is None or len(shared.asked) >= DEEP):
            return self._start()
        return shared

    def _is_quick(self, pending: Pending) -> bool:
        known = self._times.get(pending.script.key)
        return known is not None and known < QUICK_S and not pending.alone and pending.kind == frames.CALL

    def _start(self) -> Process:
        process = Process(self._over, self._share_out)
        self._processes.append(process)
        task = asyncio.get_running_loop().create_task(process.run(), name="javascript")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if self._sweep is None:
            self._sweep_later()
        return process

    # What comes back

    def _left(self, pending: Pending) -> None:
        """It stands in no worker any more."""
        owner, key = pending.script.owner, pending.script.key
        if pending.slow:
            pending.slow = False
            left = self._slow[owner] = self._slow[owner] - 1
            if not left:
                del self._slow[owner]
        if pending.took_s is not None:
            before = self._times.get(key, pending.took_s)
            self._times[key] = before + (pending.took_s - before) / 4
            self._times.move_to_end(key)
            if len(self._times) > _TIMES:
                self._times.popitem(last=False)

    def _over(self, process: Process, unanswered: list[Asked], late: bool) -> None:  # noqa: FBT001 - a callback
        """A worker is gone: whoever stood in it alone is to blame, all others are asked again, one in a worker each."""
        self._processes.remove(process)
        self._stillborn = 0 if process.held else self._stillborn + 1
        for asked in reversed(unanswered):
            if not isinstance(asked, Pending):
                continue
            self._left(asked)
            if asked.future.done():
                continue
            if self._closed or self._stillborn >= _STARTS:
                asked.failed(*_UNAVAILABLE)
            elif asked.alone and process.held:
                asked.failed(
                    *(("timeout", "it took too long") if late else ("killed", "it took its process down"))
                )
            else:
                asked.alone = asked.alone or bool(process.held)
                self._waiting.setdefault(asked.script.owner, deque()).appendleft(asked)
        if not self._closed:
            self._share_out()

    def _sweep_later(self) -> None:
        self._sweep = asyncio.get_running_loop().call_later(self._idle_s / 2, self._end_idle)

    def _end_idle(self) -> None:
        self._sweep = None
        now = asyncio.get_running_loop().time()
        for process in self._processes:
            if not process.asked and (process.retired or now - process.idle_since > self._idle_s):
                process.retired = True
                process.stop()
        if self._processes:
            self._sweep_later()


def _shares(process: Process) -> bool:
    """Whether quick calls may stand behind what is in a worker."""
    asked = process.asked
    if len(asked) >= WINDOW or process.bytes >= WINDOW_BYTES:
        return False
    return not any(a.slow or a.alone for a in (asked[0], asked[-1]))
