"""What one says in a conversation goes on in the order in which it came, however long each takes to be judged."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Hashable

A = TypeVar("A")


class Place:
    """One of those that wait for each other."""

    __slots__ = ("_before", "_judged", "_left", "_said")

    def __init__(self, judged: Judged, said: Hashable) -> None:
        self._judged = judged
        self._said = said
        self._before = judged.get(said)
        self._left = asyncio.Event()
        judged[said] = self

    async def comes(self) -> None:
        """Wait until those before have left."""
        if self._before is not None:
            await self._before._left.wait()  # noqa: SLF001 - of the same kind
            self._before = None

    def leave(self) -> None:
        """Let the next go on."""
        self._left.set()
        if self._judged.get(self._said) is self:
            del self._judged[self._said]


class Judged(dict["Hashable", Place]):
    """Whatever is being judged: the last of each who says something, by that and the place where it is said."""

    def go_on(self, said: Hashable, judge: Callable[[Place], Coroutine[Any, Any, A]]) -> asyncio.Task[A]:
        """Judge something behind what was said before it; it leaves its place by itself, at its end at the latest."""
        place = Place(self, said)
        task = asyncio.get_running_loop().create_task(judge(place))
        task.add_done_callback(lambda _: place.leave())
        return task
