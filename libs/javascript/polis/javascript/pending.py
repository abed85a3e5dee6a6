"""A call under way in a pool."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from polis.javascript import frames
from polis.javascript.script import ScriptFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from polis.javascript.script import Script

_failure = msgspec.json.Decoder(tuple[str, str])


class Pending:
    """A call and its future. It is repeated where a worker ended under it: computing again has no effect.

    alone: a worker ended under it, so it stands in the next one by itself. slow: it is not known to be quick.
    took_s: how long the script computed. left: called when it stands in no worker any more.
    """

    __slots__ = ("alone", "body", "future", "kind", "left", "script", "slow", "took_s")

    def __init__(self, script: Script, kind: int, body: bytes, left: Callable[[Pending], None]) -> None:
        self.left = left
        self.script = script
        self.kind = kind
        self.body = body
        self.alone = False
        self.slow = False
        self.took_s: float | None = None
        self.future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def answered(self, kind: int, took_s: float, body: bytes) -> None:
        self.took_s = took_s
        self.left(self)
        if self.future.done():
            return
        if kind == frames.DONE:
            self.future.set_result(body)
        else:
            self.future.set_exception(ScriptFailed(*_failure.decode(body)))

    def failed(self, kind: str, message: str) -> None:
        if not self.future.done():
            self.future.set_exception(ScriptFailed(kind, message))
