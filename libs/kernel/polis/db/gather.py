"""What many callers ask for in the same moment, taken together: whatever waits when a lane is free is one group.

There is no timer: one caller is served at once, and under load the groups grow by themselves.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

from polis.db.connections import DEFAULT_DEADLINE_S
from polis.db.deadline import Deadline
from polis.db.errors import late, overloaded, unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable
    from uuid import UUID

    from polis.db.deadline import Watch

Q = TypeVar("Q")
A = TypeVar("A")


class Asked(Generic[Q, A]):
    """One caller's question and the answer that it waits for."""

    __slots__ = ("answer", "deadline", "org_id", "question")

    def __init__(self, org_id: UUID, question: Q, deadline: Deadline, answer: asyncio.Future[A]) -> None:
        self.org_id = org_id
        self.question = question
        self.deadline = deadline
        self.answer = answer

    def resolve(self, answer: A) -> None:
        if not self.answer.done():
            self.answer.set_result(answer)

    def fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)

    def overdue(self) -> None:
        self.fail(late())


class Gathering(Generic[Q, A]):
    """Hands groups to `serve`, at most `lanes` at a time, and never two of the same key in one group.

    serve: resolves or fails everyone in its group.
    """

    def __init__(
        self,
        serve: Callable[[list[Asked[Q, A]]], Awaitable[None]],
        watch: Watch,
        *,
        lanes: int,
        largest: int,
        bound: int,
        key: Callable[[Asked[Q, A]], Hashable] | None = None,
    ) -> None:
        self._serve = serve
        self._watch = watch
        self._lanes = self._free = lanes
        self._largest = largest
        self._bound = bound
        self._key = key
        self._loop = watch.loop  # to find out which one runs is a system call
        self._waiting: deque[Asked[Q, A]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    def ask(self, org_id: UUID, question: Q, deadline: Deadline | None) -> asyncio.Future[A]:
        """The answer, or why there is none: DeadlineExceeded on time. Refused(Overloaded) at once when too many wait."""
        if len(self._waiting) >= self._bound:
            raise overloaded("too much waits for the database")
        until = deadline or Deadline(self._loop.time() + DEFAULT_DEADLINE_S)
        asked: Asked[Q, A] = Asked(org_id, question, until, self._loop.create_future())
        self._waiting.append(asked)
        self._watch.add(asked)
        if self._free:
            self._begin()
        return asked.answer

    def enter(self) -> bool:
        """A lane for a caller that finds nobody else and serves itself, which takes no task; to be left again."""
        if self._waiting or self._free < self._lanes:
            return False
        self._free -= 1
        return True

    def leave(self) -> None:
        self._free += 1
        if self._waiting:
            self._begin()

    def _begin(self) -> None:
        self._free -= 1
        task = self._loop.create_task(self._run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self) -> None:
        try:
            while group := self._next():
                try:
                    await self._serve(group)
                finally:
                    for asked in group:
                        self._watch.discard(asked)
                        if not asked.answer.done():
                            asked.fail(unavailable("the process is ending"))
        finally:
            self._free += 1

    def _next(self) -> list[Asked[Q, A]]:
        """Those in front who still wait. Of two with one key the later stays, to see what the earlier wrote."""
        group: list[Asked[Q, A]] = []
        kept: list[Asked[Q, A]] = []
        keys: set[Hashable] = set()
        while self._waiting and len(group) < self._largest:
            asked = self._waiting.popleft()
            if asked.answer.done():
                self._watch.discard(asked)
                continue
            if self._key is not None:
                keys.add(self._key(asked))
                if len(keys) == len(group):
                    kept.append(asked)
                    continue
            group.append(asked)
        self._waiting.extendleft(reversed(kept))
        return group
