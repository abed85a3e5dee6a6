"""Identity's ledger of usage, as a process of another service writes in it: what is set aside, and what it came to."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from polis.proto import Refused
from polis.proto.identity import ReserveUsage, SettleUsage
from polis.proto.problems import DeadlineExceeded, Unavailable
from polis.telemetry import log

if TYPE_CHECKING:
    from uuid import UUID

    from polis.proto.identity import Reservation
    from polis.service.kernel import Kernel

WAIT_S = 2.0
"""For identity: who waits longer is told that it is away."""
_SETTLING = 1_000
"""Settlements under way at a time; what comes beyond expires, and so counts in full."""
_AGAIN_S = (0.2, 0.5, 1.0, 2.0)
_UNSURE = (Unavailable, DeadlineExceeded)


class Ledger:
    """What this process sets aside and settles."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._settling: set[asyncio.Task[None]] = set()

    async def reserve(self, request: ReserveUsage, wait_s: float = WAIT_S) -> Reservation:
        """Refused(OverQuota), or Refused(Unavailable) where identity does not say anything."""
        wait = min(WAIT_S, wait_s)
        try:
            async with asyncio.timeout(wait):
                token = await self._kernel.keys.own_token()
                return await self._kernel.caller.call(request, token=token, timeout_s=wait)
        except (Refused, TimeoutError) as error:
            if isinstance(error, Refused) and not isinstance(error.problem, _UNSURE):
                raise
            # It may have been set aside, and nobody is going to use it.
            self.settle(request.org_id, request.reservation_id, 0)
            raise Refused(Unavailable(dependency="identity"), "a quota could not be looked at") from None

    def settle(self, org_id: UUID, reservation_id: UUID, used: int) -> None:
        """Tell soon what a reservation came to."""
        if len(self._settling) >= _SETTLING:
            log.warning("usage.unsettled", reservation_id=str(reservation_id), problem="too many at a time")
            return
        work = self._settle(SettleUsage(org_id, reservation_id, used))
        settling = self._kernel.tasks.start(work, name="settle")
        self._settling.add(settling)
        settling.add_done_callback(self._settling.discard)

    @property
    def is_settling(self) -> bool:
        """Whether identity has not heard yet what something came to."""
        return bool(self._settling)

    async def settled(self, within_s: float) -> None:
        """Wait until everything is told."""
        if self._settling:
            await asyncio.wait(self._settling, timeout=within_s)

    async def _settle(self, request: SettleUsage) -> None:
        problem = ""
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


def may_have_happened(error: BaseException) -> bool:
    """Whether what a block did may be there although it raised: its commit went unanswered, or it was cancelled."""
    if isinstance(error, Refused):
        return isinstance(error.problem, _UNSURE)
    return not isinstance(error, Exception)
