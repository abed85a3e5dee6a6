"""A point in time by which work has to end; it travels with a request and bounds every wait below it."""

from __future__ import annotations

import asyncio
from typing import Self


class Deadline:
    """`at` is in the event loop's time."""

    __slots__ = ("at",)

    def __init__(self, at: float) -> None:
        self.at = at

    @classmethod
    def after(cls, seconds: float) -> Self:
        return cls(asyncio.get_running_loop().time() + seconds)

    def remaining(self) -> float:
        """Seconds that are left; not negative."""
        return max(0.0, self.at - asyncio.get_running_loop().time())
