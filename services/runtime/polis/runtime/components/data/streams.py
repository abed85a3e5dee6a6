"""Components that see a whole stream and pass on as it comes: window, dedupe and limit."""

from __future__ import annotations

import hashlib
from collections import OrderedDict

import msgspec
from msgspec import Struct

from polis.runtime.component import Inputs, Step, component
from polis.runtime.components.data.lists import identity
from polis.runtime.components.expressions import compiled

DIGEST_BYTES = 16


class Slice(Struct, frozen=True):
    """Configuration of window."""

    size: int
    step: int = 0
    partial: bool = True


class First(Struct, frozen=True):
    """Configuration of dedupe."""

    by: str = ""
    remember: int = 100_000


class Part(Struct, frozen=True):
    """Configuration of limit; without `take` everything behind `skip` passes."""

    skip: int = 0
    take: int | None = None


@component("window")
class Window:
    def __init__(self, step: Step) -> None:
        self._step = step
        self._config = msgspec.convert(step.config, Slice)
        self._held: list[object] = []
        self._skip = 0
        self._new = 0

    def receive(self, inputs: Inputs) -> None:
        if self._skip:
            self._skip -= 1
            return
        size, ahead = self._config.size, self._config.step or self._config.size
        self._held.append(inputs["in"])
        self._new += 1
        if len(self._held) == size:
            self._step.emit("out", self._held)
            self._held = self._held[ahead:]
            self._skip, self._new = max(0, ahead - size), 0

    async def finish(self) -> None:
        # What is held of a window before is no window of its own.
        if self._new and self._config.partial:
            self._step.emit("out", self._held)


@component("dedupe")
class Dedupe:
    def __init__(self, step: Step) -> None:
        self._step = step
        self._config = msgspec.convert(step.config, First)
        self._seen: OrderedDict[bytes, None] = OrderedDict()

    def receive(self, inputs: Inputs) -> None:
        item = inputs["in"]
        key = compiled(self._config.by).value({"item": item}) if self._config.by else item
        # A digest: what is remembered of a key must not depend on how long it is.
        name = hashlib.blake2b(identity(key), digest_size=DIGEST_BYTES).digest()
        known = name in self._seen
        self._seen[name] = None
        self._seen.move_to_end(name)
        if len(self._seen) > self._config.remember:
            self._seen.popitem(last=False)
        self._step.emit("rest" if known else "out", item)

    async def finish(self) -> None:
        self._seen.clear()


@component("limit")
class Limit:
    def __init__(self, step: Step) -> None:
        self._step = step
        config = msgspec.convert(step.config, Part)
        self._first = config.skip
        self._end = None if config.take is None else config.skip + config.take
        self._count = 0

    def receive(self, inputs: Inputs) -> None:
        passes = self._count >= self._first and (self._end is None or self._count < self._end)
        self._count += 1
        self._step.emit("out" if passes else "rest", inputs["in"])

    async def finish(self) -> None:
        """Everything has gone on as it came."""
