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
        while (ahead := self._ahead()) is not None:
            await ahead._left.wait()  # noqa: SLF001 - of the same kind

    def leave(self) -> None:
        """Let the next go on; before its own turn, behind those that it was waiting for."""
        self._left.set()
        if self._judged.get(self._said) is self:
            ahead = self._ahead()
            if ahead is None:
                del self._judged[self._said]
            else:
                self._judged[self._said] = ahead

    def _ahead(self) -> Place | None:
        """The next before it that is still there."""
        while self._before is not None and self._before._left.is_set():  # noqa: SLF001 - as above
            self._before = self._before._before  # noqa: SLF001
        return self._before


class Judged(dict["Hashable", Place]):
    """Whatever is being judged: the last of each who says something, by that and the place where it is said."""

    def go_on(self, said: Hashable, judge: Callable[[Place], Coroutine[Any, Any, A]]) -> asyncio.Task[A]:
        """Judge something, beside what was said before it until its place comes, which it leaves at its end at the latest."""
        place = Place(self, said)
        task = asyncio.get_running_loop().create_task(judge(place))
        task.add_done_callback(lambda _: place.leave())
        return task
