"""W3C trace context, parsed by slices; spans are only made of what is sampled or failed (see spans)."""

from __future__ import annotations

import os
import random
import re
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterator

_seeded = random.Random(os.urandom(16))  # noqa: S311 - span ids need uniqueness, not secrecy
_current: ContextVar[Trace | None] = ContextVar("polis_trace", default=None)
_FORM = re.compile("..-([0-9a-f]{32})-([0-9a-f]{16})-.(.)")
_NO_TRACE = "0" * 32
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
        return Trace(self.trace_id, _span_id(), self.sampled, self.span_id)


def parse(header: str | None) -> Trace:
    """The caller's `traceparent` with a new span id below it, or a new trace (W3C Trace Context level 1)."""
    found = _FORM.fullmatch(header) if header else None
    if found is None:
        return start()
    trace_id, parent_id, flags = found.groups()
    if trace_id == _NO_TRACE:
        return start()
    return Trace(trace_id, _span_id(), flags in "13579bdf", parent_id)


def start() -> Trace:
    """A new trace; whether it is sampled is decided here, once."""
    digits = _seeded.getrandbits(192).to_bytes(24, "big").hex()
    return Trace(digits[:32], digits[32:], _seeded.random() < sample_ratio)


def _span_id() -> str:
    return _seeded.getrandbits(64).to_bytes(8, "big").hex()


def current() -> Trace | None:
    return _current.get()


def follow(trace: Trace) -> None:
    """Make this trace the current one of a task, until it ends."""
    _current.set(trace)


@contextmanager
def enter(trace: Trace) -> Iterator[Trace]:
    """Make this trace the current one for the code inside."""
    token = _current.set(trace)
    try:
        yield trace
    finally:
        _current.reset(token)
