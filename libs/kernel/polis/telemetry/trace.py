"""W3C trace context, parsed by slices; spans are only made of what is sampled or failed (see spans)."""

from __future__ import annotations

import os
import random
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterator

_seeded = random.Random(os.urandom(16))  # noqa: S311 - span ids need uniqueness, not secrecy
_current: ContextVar[Trace | None] = ContextVar("polis_trace", default=None)
_HEX = frozenset("0123456789abcdef")
sample_ratio = 0.05


class Trace(Struct, frozen=True):
    """Where we are in a trace: 32 and 16 hexadecimal digits, and whether spans are recorded."""

    trace_id: str
    span_id: str
    sampled: bool
    parent_id: str = ""

    @property
    def header(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"

    def child(self) -> Trace:
        return Trace(self.trace_id, f"{_seeded.getrandbits(64):016x}", self.sampled, self.span_id)


def parse(header: str | None) -> Trace:
    """The caller's `traceparent` with a new span id below it, or a new trace (W3C Trace Context level 1)."""
    if header and len(header) == 55 and header[2] == header[35] == header[52] == "-":
        trace_id, parent = header[3:35], header[36:52]
        if _HEX.issuperset(trace_id) and _HEX.issuperset(parent) and trace_id != "0" * 32:
            return Trace(trace_id, f"{_seeded.getrandbits(64):016x}", header[54] in "13579bdf", parent)
    return start()


def start() -> Trace:
    """A new trace; whether it is sampled is decided here, once."""
    return Trace(
        f"{_seeded.getrandbits(128):032x}", f"{_seeded.getrandbits(64):016x}", _seeded.random() < sample_ratio
    )


def current() -> Trace | None:
    return _current.get()


@contextmanager
def enter(trace: Trace) -> Iterator[Trace]:
    """Make this trace the current one for the code inside."""
    token = _current.set(trace)
    try:
        yield trace
    finally:
        _current.reset(token)
