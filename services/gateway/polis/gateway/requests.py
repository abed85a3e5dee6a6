"""Requests of orgs that have a quota of them: counted in blocks (ADR 55), before anybody is asked.

Which orgs those are is read from identity, and kept by its events; so others pay for a look into a table, and are not held
up while identity is away.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from polis.db import Deadline
from polis.proto import PUBLIC, SIGNED_IN
from polis.proto.contract import event_type_of
from polis.proto.identity import ListOrgQuotas, QuotaRemoved, QuotaSet
from polis.service.blocks import Blocks, User
from polis.service.envelope import decode
from polis.service.rounds import rounds

if TYPE_CHECKING:
    from uuid import UUID

    from polis.bus import Message
    from polis.proto import Event, Operation
    from polis.service import Actor, Kernel

_METER: Final = "requests"
_LOOK_S = 60.0
"""Between two looks at all of it, beside those after each reconnect."""

Bound = dict[int, set["UUID"]]
"""Orgs by number, with the ids of their quotas: a UUID takes its time to be hashed."""


class Requests:
    """What this gateway counts. bound: the orgs whose requests are."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._blocks = Blocks(kernel, _METER)
        self._look_now = asyncio.Event()
        self._heard: list[Event] | None = None
        """While all of it is read: what is later than that, or the same."""
        self.bound: Bound = {}

    async def listen(self) -> None:
        """Hear of quotas from now on, and read those that there are."""
        for event in (QuotaSet, QuotaRemoved):
            kind = event_type_of(event)
            await self._kernel.bus.subscribe(f"event.{kind.service}.{kind.fact}.>", self._on_event)
        self._kernel.bus.on_reconnect.append(self._look_now.set)
        turns = rounds("quotas", self._look, every_s=_LOOK_S, wake=self._look_now)
        self._kernel.tasks.start(turns, name="quotas")

    async def count(self, operation: Operation, actor: Actor) -> None:
        """Count a request of a bound org. Refused(OverQuota), or Refused(Unavailable) while identity says nothing."""
        if _is_counted(operation):
            wait_s = self._kernel.settings.call_timeout_s
            block = await self._blocks.take(User.of(actor), Deadline.after(wait_s))
            block.spent()

    async def close(self) -> None:
        """Settle everything."""
        await self._blocks.close()

    def _on_event(self, message: Message) -> None:
        event = decode(message.headers, message.payload)
        _take(self.bound, event)
        if self._heard is not None:
            self._heard.append(event)
        self._blocks.forget([event.org_id])

    async def _look(self) -> None:
        heard: list[Event] = []
        self._heard = heard
        try:
            bound = await self._read()
        finally:
            self._heard = None
        for event in heard:
            _take(bound, event)
        self.bound = bound

    async def _read(self) -> Bound:
        bound: Bound = {}
        page = ListOrgQuotas(_METER)
        while True:
            found = await self._kernel.caller.call(page, token=await self._kernel.keys.own_token())
            for quota in found.quotas:
                bound.setdefault(quota.org_id.int, set()).add(quota.quota_id)
            if found.next_after is None:
                return bound
            page = ListOrgQuotas(_METER, after=found.next_after)


def _take(bound: Bound, event: Event) -> None:
    org = event.org_id.int
    if isinstance(event, QuotaSet) and event.meter == _METER:
        bound.setdefault(org, set()).add(event.quota_id)
    elif isinstance(event, QuotaRemoved) and org in bound:
        bound[org].discard(event.quota_id)
        if not bound[org]:
            del bound[org]


def _is_counted(operation: Operation) -> bool:
    """Who has nothing left can still sign in and out, see what was used of what, and have it changed."""
    return operation.service != "identity" and operation.scope not in (PUBLIC, SIGNED_IN)
