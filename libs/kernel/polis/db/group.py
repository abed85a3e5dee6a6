"""Writes of many callers in one transaction: each has its own answer or error, and one bad record spoils none of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar
from uuid import UUID

from msgspec import Struct

from polis.db.deadline import Deadline
from polis.db.errors import lasting
from polis.db.gather import Asked, Gathering
from polis.proto import Refused
from polis.telemetry import Trace, current

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Hashable, Sequence

    from polis.db.database import Database
    from polis.db.transaction import Transaction

Rec = TypeVar("Rec")
Ans = TypeVar("Ans")

FLUSH_S = 10.0
"""For one group; a caller whose own deadline is nearer stops waiting, its record may still be written."""


class Caller(Struct, frozen=True):
    """Whose record it is: the org that the caller was verified for, and the trace that its events belong to."""

    org_id: UUID
    trace: Trace | None = None

    @classmethod
    def here(cls, org_id: UUID) -> Caller:
        return cls(org_id, current())


class GroupCommit(Generic[Rec, Ans]):
    """Gathers records for `write`, which stores a group and answers each, in order; answers are given after the commit.

    write: (tx, callers, records) -> answers, where an answer may be a Refused for that record alone. There is one caller
    for each record: statements take the org from it, never from a record, and events its trace. A group that fails is halved and tried again, so that a bad record fails by itself.
    key: records that are equal by it never share a group, as repeats of one client id.
    at_once: (callers, records) -> answers of those that one statement could write, by itself; None of those that it left alone,
    which `write` stores.
    """

    def __init__(
        self,
        database: Database,
        write: Callable[[Transaction, Sequence[Caller], Sequence[Rec]], Awaitable[Sequence[Ans | Refused]]],
        *,
        key: Callable[[Rec], Hashable] | None = None,
        at_once: Callable[[Sequence[Caller], Sequence[Rec]], Awaitable[Sequence[Ans | None]]] | None = None,
        lanes: int = 1,
        largest: int = 256,
        bound: int = 5_000,
    ) -> None:
        self._database = database
        self._write = write
        self._at_once = at_once
        self._gathering: Gathering[tuple[Caller, Rec], Ans] = Gathering(
            self._serve if at_once is None else self._serve_quickly,
            database.connections.watch,
            lanes=lanes,
            largest=largest,
            bound=bound,
            key=None if key is None else lambda asked: (asked.org_id.int, key(asked.question[1])),
        )

    async def put(self, org_id: UUID, record: Rec, *, deadline: Deadline | None = None) -> Ans:
        """The record's answer, once it is committed.

        Refused(Overloaded) when too much waits, Refused(DeadlineExceeded) or Refused(Unavailable) when it may or may not
        have been written.
        """
        return await self.send(Caller.here(org_id), record, deadline=deadline)

    def send(self, caller: Caller, record: Rec, *, deadline: Deadline | None = None) -> asyncio.Future[Ans]:
        """As `put`, without waiting: whatever is sent later stands behind it. Refused(Overloaded) at once."""
        if getattr(record, "org_id", caller.org_id) != caller.org_id:
            raise ValueError("the record names another org than its caller was verified for")
        return self._gathering.ask(caller.org_id, (caller, record), deadline)

    async def _serve_quickly(self, group: list[Asked[tuple[Caller, Rec], Ans]]) -> None:
        """What can be is written by one statement; when that fails for a record's sake, nothing was, and all go the other way."""
        assert self._at_once is not None  # noqa: S101 - this way is taken by nobody else
        callers, records = zip(*(asked.question for asked in group), strict=True)
        try:
            answers = await self._at_once(callers, records)
        except Exception as error:  # noqa: BLE001 - every caller is told, here or by `_serve`
            if isinstance(error, Refused) and not lasting(error):
                for asked in group:
                    asked.fail(error)
            else:
                await self._serve(group)
            return
        left = []
        for asked, answer in zip(group, answers, strict=True):
            if answer is None:
                left.append(asked)
            else:
                asked.resolve(answer)
        if left:
            await self._serve(left)

    async def _serve(self, group: list[Asked[tuple[Caller, Rec], Ans]]) -> None:
        try:
            answers = await self._store(group)
        except Exception as error:  # noqa: BLE001 - every caller is told
            if len(group) == 1 or (isinstance(error, Refused) and not lasting(error)):
                for asked in group:
                    asked.fail(error)
                return
            await self._serve(group[: len(group) // 2])
            await self._serve(group[len(group) // 2 :])
            return
        for asked, answer in zip(group, answers, strict=True):
            if isinstance(answer, Refused):
                asked.fail(answer)
            else:
                asked.resolve(answer)

    async def _store(self, group: list[Asked[tuple[Caller, Rec], Ans]]) -> Sequence[Ans | Refused]:
        orgs = list({asked.org_id: None for asked in group})
        callers, records = zip(*(asked.question for asked in group), strict=True)
        async with self._database.transaction(orgs, deadline=Deadline.after(FLUSH_S)) as tx:
            answers = await self._write(tx, callers, records)
            if len(answers) != len(group):
                raise RuntimeError(f"{len(answers)} answers to {len(group)} records")
        return answers
