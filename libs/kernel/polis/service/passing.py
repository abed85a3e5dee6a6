"""What is of use for a while only, by key: who was here a moment ago, what somebody else said a moment ago."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

K = TypeVar("K")
V = TypeVar("V")

_FEW = 256
"""So many are not worth a look."""


class Passing(dict[K, V], Generic[K, V]):
    """Things that are over one day, and forgotten as others come: no more than twice as many stay as were of use.

    is_over: whether one is of no use any more, at a time. most: where so many are of use, the oldest tenth goes.
    """

    __slots__ = ("_is_over", "_look_at", "_most")

    def __init__(self, is_over: Callable[[V, float], bool], *, most: int) -> None:
        super().__init__()
        self._is_over = is_over
        self._most = most
        self._look_at = min(_FEW, most)

    def keep(self, key: K, value: V, now: float) -> None:
        """The looks cost as much as one at each thing that came."""
        if len(self) >= self._look_at and key not in self:
            self._forget(now)
        self[key] = value

    def _forget(self, now: float) -> None:
        is_over = self._is_over
        for key in [key for key, value in self.items() if is_over(value, now)]:
            del self[key]
        if len(self) >= self._most:
            for key in list(self)[: max(1, self._most // 10)]:
                del self[key]
        self._look_at = min(self._most, max(_FEW, 2 * len(self)))
