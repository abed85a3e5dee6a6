"""Having work done in a process of its own, a bounded number of them at a time."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import TYPE_CHECKING

import msgspec

from polis.runtime.component import StepFailed

if TYPE_CHECKING:
    from asyncio.subprocess import Process

AT_ONCE = 2
SECONDS = 30.0
"""How long one piece of work takes at the most, once it has its turn."""
MAX_ANSWER = 32 * 1024 * 1024
_slots: dict[asyncio.AbstractEventLoop, asyncio.Semaphore] = {}


async def isolated(name: str, *arguments: object, seconds: float = SECONDS) -> object:
    """The result of a piece of work. StepFailed with its kind, `work.too_long` or `work.too_large`."""
    # Whoever begins without a task has one behind the first wait; a bound in time needs it.
    await asyncio.sleep(0)
    async with _slot():
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "polis.runtime.isolated", stdin=-1, stdout=-1, stderr=-3, env={}
        )
        try:
            async with asyncio.timeout(seconds):
                answer = await _asked(process, msgspec.msgpack.encode((name, arguments, seconds)))
        except TimeoutError:
            raise StepFailed("work.too_long", f"it takes longer than {seconds:g} s") from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return _told(answer)


def _slot() -> asyncio.Semaphore:
    loop = asyncio.get_running_loop()
    if loop not in _slots:
        _slots.clear()
        _slots[loop] = asyncio.Semaphore(AT_ONCE)
    return _slots[loop]


async def _asked(process: Process, request: bytes) -> bytes:
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("a process without pipes")
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(request)
        await process.stdin.drain()
        process.stdin.close()
    answer = bytearray()
    while part := await process.stdout.read(256 * 1024):
        answer += part
        if len(answer) > MAX_ANSWER:
            raise StepFailed("work.too_large", f"its result is over {MAX_ANSWER:,} bytes")
    return bytes(answer)


def _told(answer: bytes) -> object:
    if not answer:
        # A limit has ended it, or a defect of a library: which of them, nobody can say any more.
        raise StepFailed("work.failed", "it broke the process that worked on it")
    state, result = msgspec.msgpack.decode(answer)
    if state == "done":
        return result
    raise StepFailed(*result)
