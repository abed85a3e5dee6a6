"""Setting aside and settling what quotas bound, one by one: identity counts, and only what an org has bounded is asked about there.

Where an org has a quota and identity is silent, nothing is granted.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from uuid import UUID

from polis.proto import Refused
from polis.proto.identity import ReserveUsage
from polis.service.bounded import Bounded
from polis.service.ledger import Ledger, may_have_happened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from polis.db import Deadline
    from polis.proto.identity import Meter
    from polis.service.actor import Actor
    from polis.service.kernel import Kernel


class Held:
    """An amount that was set aside, if a quota bounds it."""

    def __init__(
        self, ledger: Ledger, request: ReserveUsage, refusal: Refused | None, *, metered: bool
    ) -> None:
        self.metered = metered
        self._ledger = ledger
        self._request = request
        self._refusal = refusal

    def demand(self) -> None:
        """Refused(OverQuota), or Unavailable, unless the amount may be used. Behind the look for a stored answer."""
        if self._refusal is not None:
            raise self._refusal

    def settle(self, used: int) -> None:
        """Tell soon what it came to."""
        if self.metered:
            self._ledger.settle(self._request.org_id, self._request.reservation_id, used)


class Quotas:
    """The quotas of one meter, seen by a service."""

    def __init__(self, kernel: Kernel, meter: Meter) -> None:
        self._meter = meter
        self._ledger = Ledger(kernel)
        self.bounded = Bounded(kernel, meter)

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
            if not may_have_happened(error):
                held.settle(0)
            raise

    async def _hold(
        self, request: ReserveUsage, deadline: Deadline, before: Callable[[], Awaitable[None]] | None
    ) -> Held:
        try:
            metered = await self.bounded.has(request.org_id, deadline)
            if metered and before is not None:
                await before()
            if metered:
                await self._ledger.reserve(request, deadline.remaining())
        except Refused as refusal:
            return Held(self._ledger, request, refusal, metered=False)
        return Held(self._ledger, request, None, metered=metered)
