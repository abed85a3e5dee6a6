"""Quotas of what happens often: set aside in blocks of many, taken one by one, settled with what was used (ADR 55).

A block is one user's, lives for two seconds at the most and in one minute of the clock, as every period of a quota begins
with one. It grows while it is used up, and is a small share of what a quota leaves: identity alone counts, so no number of
processes exceeds it. What a process leaves behind when it dies counts as used.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from polis.db import new_id
from polis.proto import Refused
from polis.proto.identity import OverQuota, ReserveUsage
from polis.proto.problems import DeadlineExceeded, Overloaded
from polis.service.ledger import Ledger, may_have_happened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from polis.db import Deadline
    from polis.proto import Problem
    from polis.proto.identity import Meter
    from polis.service.actor import Actor
    from polis.service.kernel import Kernel

LIFE_S = 2.0
MOST = 100
"""Of a block."""
_SHARE = 8
"""A block is no more than such a part of what a quota leaves, so that others find something until the end."""
REFUSED_S = 1.0
"""How long who was refused is so without another look: others may give back what they have not used."""
_TTL_S = 120
"""When a block counts as used that nobody settles: later than what was begun with it may take."""
_USERS = 10_000
"""Who use something at a time, at most."""
_MINUTE_S = 60.0
_CLOSING_S = 3.0
_TELLING_S = 1.0
"""How long a refusal waits for what is on its way to identity."""


class User(NamedTuple):
    """Who uses something: a principal of an org, and the key by which it acts."""

    org_id: UUID
    principal_id: UUID
    key_id: UUID | None

    @classmethod
    def of(cls, actor: Actor) -> User:
        return cls(actor.org_id, actor.principal_id, actor.key_id)


class Block:
    """What is set aside for a user, until then in the loop's time."""

    __slots__ = ("_ledger", "_open", "_under_way", "amount", "id", "org_id", "until", "used")

    def __init__(self, ledger: Ledger, request: ReserveUsage, until: float) -> None:
        self._ledger = ledger
        self._open = True
        self._under_way = 0
        self.org_id, self.id, self.amount = request.org_id, request.reservation_id, request.amount
        self.until = until
        self.used = 0

    def take(self) -> bool:
        """One of it, until that is `spent` or `given_back`; false when nothing is left, or its time is over."""
        if not self._open or self.used >= self.amount or self.until <= asyncio.get_running_loop().time():
            return False
        self.used += 1
        self._under_way += 1
        return True

    def spent(self) -> None:
        self._under_way -= 1
        self._settle()

    def given_back(self) -> None:
        self.used -= 1
        self._open = self._open and self.used > 0  # one of which nothing is used keeps it from nobody
        self.spent()

    def close(self) -> None:
        """Give nothing out any more."""
        if self._open:
            self._open = False
            self._settle()

    def _settle(self) -> None:
        """When nothing is under way that could be given back, and nothing is given out any more."""
        if self._under_way or (self._open and self.used < self.amount):
            return
        self._open = False
        self._ledger.settle(self.org_id, self.id, self.used)


class Unit:
    """One of what is counted, as far as something bounds it. refusal: why it may not be used."""

    __slots__ = ("_block", "_spared", "refusal")

    def __init__(self, block: Block | None = None, refusal: Refused | None = None) -> None:
        self._block = block
        self._spared = False
        self.refusal = refusal

    def demand(self) -> None:
        """Refused(OverQuota), or Unavailable, unless it may be used. Behind the look for a stored answer."""
        if self.refusal is not None:
            raise self.refusal

    def spare(self) -> None:
        """It is not used: what was wanted was there already."""
        self._spared = True

    def end(self, *, failed: bool) -> None:
        """Whatever it was for is over."""
        if self._block is None:
            return
        if failed or self._spared:
            self._block.given_back()
        else:
            self._block.spent()


class _Line:
    """Those who wait for the same user's next block, and what that one was told last."""

    def __init__(self) -> None:
        self.block: Block | None = None
        self.next = 1
        self.left: int | None = None
        self.waiting = 0
        self.changes = 0
        self.coming: asyncio.Task[None] | None = None
        self.refused: Problem | None = None
        self.refused_until = 0.0

    def is_idle(self, now: float) -> bool:
        return self.block is None and not self.waiting and self.coming is None and self.refused_until <= now


class Blocks:
    """The blocks of one meter that a process holds."""

    def __init__(self, kernel: Kernel, meter: Meter) -> None:
        self._meter = meter
        self._tasks = kernel.tasks
        self._ledger = Ledger(kernel)
        self._lines: dict[User, _Line] = {}
        self._loop = asyncio.get_running_loop()

    @asynccontextmanager
    async def one(self, user: User, deadline: Deadline) -> AsyncIterator[Unit]:
        """A unit for a block of code that uses it; given back when that has certainly failed, or has spared it."""
        block, refusal = None, None
        try:
            block = await self.take(user, deadline)
        except Refused as refused:
            refusal = refused
        unit = Unit(block, refusal)
        try:
            yield unit
        except BaseException as error:
            unit.end(failed=not may_have_happened(error))
            raise
        unit.end(failed=False)

    async def take(self, user: User, deadline: Deadline) -> Block:
        """A block of which one is taken. Refused(OverQuota), or Refused(Unavailable) while identity says nothing."""
        line = self._line(user)
        line.waiting += 1
        try:
            while True:
                if line.block is not None and line.block.take():
                    return line.block
                if line.refused is not None and line.refused_until > self._loop.time():
                    raise Refused(line.refused)
                await self._next(user, line, deadline)
        finally:
            line.waiting -= 1
            self._look(user, line)

    def forget(self, org_ids: Sequence[UUID]) -> None:
        """Quotas of orgs have changed: what was set aside by the old ones is not given out any more."""
        orgs = frozenset(org_ids)
        for line in [line for user, line in self._lines.items() if user.org_id in orgs]:
            line.changes += 1
            line.refused = None
            self._drop(line)

    async def close(self) -> None:
        """Settle everything: the process ends."""
        for line in self._lines.values():
            line.changes += 1
            self._drop(line)
        coming = [line.coming for line in self._lines.values() if line.coming is not None]
        if coming:
            await asyncio.wait(coming, timeout=_CLOSING_S)
        await self._ledger.settled(_CLOSING_S)

    def _line(self, user: User) -> _Line:
        line = self._lines.get(user)
        if line is None:
            if len(self._lines) >= _USERS:
                raise Refused(Overloaded(retry_after_s=LIFE_S))
            line = self._lines[user] = _Line()
        return line

    async def _next(self, user: User, line: _Line, deadline: Deadline) -> None:
        """Wait for the next block, which one of those who wait sends for."""
        if line.coming is None:
            line.coming = self._tasks.start(self._fetch(user, line), name="quota")
        coming = line.coming
        await asyncio.wait((coming,), timeout=deadline.remaining())
        if not coming.done():
            raise Refused(DeadlineExceeded())
        coming.result()

    async def _fetch(self, user: User, line: _Line) -> None:
        changes = line.changes
        try:
            block = await self._reserve(user, line, min(MOST, max(line.next, line.waiting)))
        except Refused as refusal:
            if changes == line.changes:
                line.refused, line.refused_until = refusal.problem, self._loop.time() + REFUSED_S
                self._loop.call_at(line.refused_until, self._look, user, line)
        else:
            if changes != line.changes:
                block.close()
                return
            self._drop(line)
            line.block, line.next = block, min(MOST, 2 * block.amount)
            self._loop.call_at(block.until, self._look, user, line)
        finally:
            line.coming = None

    async def _reserve(self, user: User, line: _Line, amount: int) -> Block:
        """Refused as `Ledger.reserve` has it, when not even one is left with all that this process gives back."""
        all_told = False
        while True:
            minute_ends = self._loop.time() + _MINUTE_S - time.time() % _MINUTE_S
            request = ReserveUsage(
                user.org_id,
                new_id(),
                user.principal_id,
                self._meter,
                amount if line.left is None else max(1, min(amount, line.left // _SHARE)),
                key_id=user.key_id,
                ttl_s=_TTL_S,
            )
            on_its_way = self._ledger.is_settling
            try:
                made = await self._ledger.reserve(request)
            except Refused as refusal:
                problem = refusal.problem
                if not isinstance(problem, OverQuota):
                    raise
                if request.amount > 1 and problem.left:
                    line.left = problem.left
                elif all_told or not (on_its_way or self._ledger.is_settling):
                    raise
                else:
                    await self._ledger.settled(_TELLING_S)
                    all_told = True
            else:
                line.left = made.left
                return Block(self._ledger, request, min(minute_ends, self._loop.time() + LIFE_S))

    def _look(self, user: User, line: _Line) -> None:
        """Close what has had its time, and forget who uses nothing any more."""
        now = self._loop.time()
        if line.block is not None and line.block.until <= now:
            line.next = min(MOST, max(1, line.block.used))
            self._drop(line)
        if line.is_idle(now) and self._lines.get(user) is line:
            del self._lines[user]

    def _drop(self, line: _Line) -> None:
        if line.block is not None:
            line.block.close()
            line.block = None
