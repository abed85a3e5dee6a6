"""Setting aside and settling what quotas bound: identity counts, and only what an org has bounded is asked about there.

Which orgs have a quota of a meter is a projection of identity's events in the service's own schema (`<schema>.quotas`), so
a new replica has it and an org without one costs no call. Where there is one and identity is silent, nothing is granted.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from uuid import UUID

from polis.proto import Refused
from polis.proto.identity import QuotaRemoved, QuotaSet, ReserveUsage, SettleUsage
from polis.proto.problems import DeadlineExceeded, Unavailable
from polis.service.passing import Passing
from polis.service.word import Word
from polis.telemetry import log

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from polis.db import Deadline, Transaction
    from polis.proto.identity import Meter
    from polis.service.actor import Actor
    from polis.service.kernel import Kernel

WAIT_S = 2.0
"""For identity: who waits longer is told that it is away."""
_FRESH_S = 2.0
"""How long what was read of an org counts, should the word of another replica that it has changed be lost."""
_ORGS = 10_000
"""Orgs of which it is kept, at most."""
_SETTLING = 1_000
"""Settlements under way at a time; what comes beyond expires, and so counts in full."""
_AGAIN_S = (0.2, 0.5, 1.0, 2.0)
_UNSURE = (Unavailable, DeadlineExceeded)


class Held:
    """An amount that was set aside, if a quota bounds it."""

    def __init__(
        self, quotas: Quotas, request: ReserveUsage, refusal: Refused | None, *, metered: bool
    ) -> None:
        self.metered = metered
        self._quotas = quotas
        self._request = request
        self._refusal = refusal

    def demand(self) -> None:
        """Refused(OverQuota), or Unavailable, unless the amount may be used. Behind the look for a stored answer."""
        if self._refusal is not None:
            raise self._refusal

    def settle(self, used: int) -> None:
        """Tell soon what it came to."""
        if self.metered:
            self._quotas.settle(self._request.org_id, self._request.reservation_id, used)


class Quotas:
    """The quotas of one meter, seen by a service."""

    def __init__(self, kernel: Kernel, meter: Meter) -> None:
        self._kernel = kernel
        self._meter = meter
        self._table = f"{kernel.database.service}.quotas"
        self._read: Passing[UUID, tuple[float, bool]] = Passing(_is_old, most=_ORGS)
        self._changes = 0
        self._changed = Word(kernel, "quotas", self._forget)
        self._settling = 0

    @asynccontextmanager
    async def set_aside(
        self,
        amount: int,
        *,
        actor: Actor,
        reservation_id: UUID,
        deadline: Deadline,
        principal_id: UUID | None = None,
        ttl_s: int = 600,
        before: Callable[[], Awaitable[None]] | None = None,
    ) -> AsyncIterator[Held]:
        """Set an amount aside for a block that uses it, and give it back when the block has certainly failed.

        Of an attempt's own id: a repeat that comes to nothing gives back its own. principal_id: who uses it, if not the
        actor. What may have been used, and is never settled, counts in full when it expires. before: awaited where a quota
        bounds it, before anything is set aside, to keep what has to be settled should this process die.
        """
        user = principal_id or actor.principal_id
        request = ReserveUsage(
            org_id=actor.org_id,
            reservation_id=reservation_id,
            principal_id=user,
            meter=self._meter,
            amount=amount,
            key_id=actor.key_id,
            ttl_s=ttl_s,
            behalf_id=actor.principal_id if actor.principal_id != user else None,
        )
        held = await self._hold(request, deadline, before)
        try:
            yield held
        except BaseException as error:
            if not _may_have_happened(error):
                held.settle(0)
            raise

    def settle(self, org_id: UUID, reservation_id: UUID, used: int) -> None:
        """Tell soon what a reservation came to."""
        if self._settling >= _SETTLING:
            log.warning("usage.unsettled", reservation_id=str(reservation_id), problem="too many at a time")
            return
        self._settling += 1
        self._kernel.tasks.start(self._settle(SettleUsage(org_id, reservation_id, used)), name="settle")

    async def keep(self, tx: Transaction, event: QuotaSet) -> None:
        """Know of a quota from now on."""
        if event.meter != self._meter:
            return
        await tx.execute(
            f"insert into {self._table} (org_id, id) values ($1, $2) on conflict do nothing",  # noqa: S608 - a checked name
            event.org_id,
            event.quota_id,
        )
        tx.after_commit(lambda: self._changed.tell([event.org_id]))

    async def drop(self, tx: Transaction, event: QuotaRemoved) -> None:
        """Know of a quota no more."""
        await tx.execute(
            f"delete from {self._table} where org_id = $1 and id = $2",  # noqa: S608 - a checked name
            event.org_id,
            event.quota_id,
        )
        tx.after_commit(lambda: self._changed.tell([event.org_id]))

    def _forget(self, orgs: Sequence[UUID]) -> None:
        self._changes += 1
        for org_id in orgs:
            self._read.pop(org_id, None)

    async def _hold(
        self, request: ReserveUsage, deadline: Deadline, before: Callable[[], Awaitable[None]] | None
    ) -> Held:
        try:
            metered = await self.bound(request.org_id, deadline)
            if metered and before is not None:
                await before()
            if metered:
                await self._reserve(request, deadline)
        except Refused as refusal:
            return Held(self, request, refusal, metered=False)
        return Held(self, request, None, metered=metered)

    async def bound(self, org_id: UUID, deadline: Deadline) -> bool:
        """Whether the org has a quota of the meter, for anybody."""
        known = self._read.get(org_id)
        began, changes = time.monotonic(), self._changes
        if known is not None and not _is_old(known, began):
            return known[1]
        found = await self._kernel.database.tenant(org_id, deadline=deadline).value(
            f"select exists (select from {self._table} q where q.org_id = $1) as bound",  # noqa: S608 - a checked name
            org_id,
        )
        if changes == self._changes:
            self._read.keep(org_id, (began, bool(found)), time.monotonic())
        return bool(found)

    async def _reserve(self, request: ReserveUsage, deadline: Deadline) -> None:
        wait = min(WAIT_S, deadline.remaining())
        try:
            async with asyncio.timeout(wait):
                token = await self._kernel.keys.own_token()
                await self._kernel.caller.call(request, token=token, timeout_s=wait)
        except (Refused, TimeoutError) as error:
            if isinstance(error, Refused) and not isinstance(error.problem, _UNSURE):
                raise
            # It may have been set aside, and nobody is going to use it.
            self.settle(request.org_id, request.reservation_id, 0)
            raise Refused(Unavailable(dependency="identity"), "a quota could not be looked at") from None

    async def _settle(self, request: SettleUsage) -> None:
        try:
            for wait in _AGAIN_S:
                try:
                    token = await self._kernel.keys.own_token()
                    await self._kernel.caller.call(request, token=token, timeout_s=WAIT_S)
                except Refused as refusal:
                    problem = refusal.problem.type
                else:
                    return
                await asyncio.sleep(wait)
            log.warning("usage.unsettled", reservation_id=str(request.reservation_id), problem=problem)
        finally:
            self._settling -= 1


def _is_old(read: tuple[float, bool], now: float) -> bool:
    return now - read[0] >= _FRESH_S


def _may_have_happened(error: BaseException) -> bool:
    """Whether what a block did may be there although it raised: its commit went unanswered, or it was cancelled."""
    if isinstance(error, Refused):
        return isinstance(error.problem, _UNSURE)
    return not isinstance(error, Exception)
