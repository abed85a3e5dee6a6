"""Waiting for what happens elsewhere, without sleeping for a guessed time."""

from __future__ import annotations

import asyncio
import inspect
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")
_STEP_S = 0.02


async def eventually(look: Callable[[], T | Awaitable[T]], *, within_s: float = 5.0) -> T:
    """The first truthy answer of `look`; AssertionError with the last one when the time is over."""
    end = time.monotonic() + within_s
    while True:
        answer = look()
        found: T = await answer if inspect.isawaitable(answer) else answer
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"not within {within_s:g} s; the last answer was {found!r}")
        await asyncio.sleep(_STEP_S)
