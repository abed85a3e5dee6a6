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
_PATIENCE = 4.0
"""A machine that others load, too, takes so many times as long; who waits in vain waits longer, nobody else does."""


async def eventually(
    look: Callable[[], T | Awaitable[T]], *, within_s: float = 5.0, patience: float = _PATIENCE
) -> T:
    """The first truthy answer of `look`; AssertionError with the last one when the time is over.

    patience: 1 where that it takes no longer is what the test is about.
    """
    end = time.monotonic() + within_s * patience
    while True:
        answer = look()
        found: T = await answer if inspect.isawaitable(answer) else answer
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"not within {within_s:g} s; the last answer was {found!r}")
        await asyncio.sleep(_STEP_S)
