"""How long to wait before the next attempt."""

from __future__ import annotations

import asyncio
import random

_FIRST_S = 0.25
_LONGEST_S = 15.0
_DOUBLINGS = 6


async def pause(attempt: int, retry_after_s: float | None = None) -> None:
    """Twice as long each time, with jitter, so that clients that were cut off together do not come back together."""
    longest = min(_LONGEST_S, _FIRST_S * 2 ** min(attempt, _DOUBLINGS))
    jittered = random.uniform(longest / 2, longest)  # noqa: S311 - nothing secret
    await asyncio.sleep(jittered + (retry_after_s or 0.0))
