"""Many callers, one statement: reads of one loop turn answered together, and writes committed together.

GroupCommit takes whatever waits whenever its connection is free, with no timer: under load the groups grow by themselves.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from polis.db.errors import overloaded

Q = TypeVar("Q")
A = TypeVar("A")

Work = Callable[[Sequence[Q]], Awaitable[Sequence[A]]]
MAX_WAITING = 10_000
MAX_GROUP = 500


class GroupCommit(Generic[Q, A]):
    """Gathers records of many callers for `work`, which answers each in order. Groups run one after the other.

    A group that fails is tried record by record, so that one bad record fails alone; `work` must therefore be atomic.
    """

    def __init__(self, work: Work[Q, A], *, lanes: int = 1, max_group: int = MAX_GROUP) -> None:
        self._work = work
        self._free = lanes
        self._max_group = max_group
        self._waiting: deque[tuple[Q, asyncio.Future[A]]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    async def put(self, record: Q) -> A:
        """The record's answer, once it is committed. Refused(Overloaded) when too much waits."""
        if len(self._waiting) >= MAX_WAITING:
            raise overloaded()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[A] = loop.create_future()
        self._waiting.append((record, answer))
        if self._free:
            self._free -= 1
            task = loop.create_task(self._flush())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await answer

    async def _flush(self) -> None:
        try:
            while self._waiting:
                group = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._max_group))]
                await self._commit(group)
        finally:
            self._free += 1

    async def _commit(self, group: list[tuple[Q, asyncio.Future[A]]]) -> None:
        try:
            answers = await self._work([record for record, _ in group])
        except Exception as error:  # noqa: BLE001 - each caller gets its own error below
            if len(group) == 1:
                _fail(group[0][1], error)
                return
            for each in group:
                await self._commit([each])
            return
        for (_, future), answer in zip(group, answers, strict=True):
            if not future.done():
                future.set_result(answer)


class Batch(GroupCommit[Q, A]):
    """The read twin: the keys that are asked for while a connection is busy are answered by the next statement."""


def _fail(future: asyncio.Future[A], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
