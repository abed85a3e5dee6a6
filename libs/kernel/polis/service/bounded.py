"""Which orgs have a quota of a meter: a projection of identity's events in the service's own schema (`<schema>.quotas`).

All of them are held by each process, so that whether an org is free of any is known without a wait: they are read when a
process of the service tells of a change, and every 2 s, should its word be lost.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from polis.service.rounds import rounds
from polis.service.word import Word

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from polis.db import Deadline, Transaction
    from polis.proto.identity import Meter, QuotaRemoved, QuotaSet
    from polis.service.kernel import Kernel

_LOOK_S = 2.0
_FRESH_S = 4.0
"""How long what was read counts, should the next look fail."""
_ID_BYTES = 16


class Bounded:
    """The orgs that have a quota of a meter, for anybody. on_change: hears of orgs in which quotas have changed."""

    def __init__(self, kernel: Kernel, meter: Meter) -> None:
        self._database = kernel.database
        self._meter = meter
        self._table = f"{kernel.database.service}.quotas"
        self._orgs: frozenset[int] = frozenset()
        self._told = b""
        self._fresh_until = 0.0
        self._doubtful: set[int] = set()
        """Orgs in which something has changed that was not read yet."""
        self._look_now = asyncio.Event()
        self._word = Word(kernel, "quotas", self._on_change)
        self.on_change: list[Callable[[Sequence[UUID]], None]] = []
        kernel.tasks.start(rounds("quotas", self._look, every_s=_LOOK_S, wake=self._look_now), name="quotas")

    def is_free(self, org_id: UUID) -> bool:
        """Whether the org certainly has none; false also where that is not known without a wait."""
        org = org_id.int
        return org not in self._orgs and org not in self._doubtful and time.monotonic() < self._fresh_until

    async def has(self, org_id: UUID, deadline: Deadline) -> bool:
        """Whether the org has one."""
        org = org_id.int
        if org not in self._doubtful and time.monotonic() < self._fresh_until:
            return org in self._orgs
        found = await self._database.tenant(org_id, deadline=deadline).value(
            f"select exists (select from {self._table} q where q.org_id = $1) as bound",  # noqa: S608 - a checked name
            org_id,
        )
        return bool(found)

    async def keep(self, tx: Transaction, event: QuotaSet) -> None:
        """Know of a quota from now on."""
        if event.meter != self._meter:
            return
        await tx.execute(
            f"insert into {self._table} (org_id, id) values ($1, $2) on conflict do nothing",  # noqa: S608 - a checked name
            event.org_id,
            event.quota_id,
        )
        tx.after_commit(lambda: self._word.tell([event.org_id]))

    async def drop(self, tx: Transaction, event: QuotaRemoved) -> None:
        """Know of a quota no more."""
        await tx.execute(
            f"delete from {self._table} where org_id = $1 and id = $2",  # noqa: S608 - a checked name
            event.org_id,
            event.quota_id,
        )
        tx.after_commit(lambda: self._word.tell([event.org_id]))

    def _on_change(self, orgs: Sequence[UUID]) -> None:
        self._doubtful.update(org_id.int for org_id in orgs)
        self._look_now.set()
        for hear in self.on_change:
            hear(orgs)

    async def _look(self) -> None:
        began, doubtful = time.monotonic(), set(self._doubtful)
        async with self._database.across_orgs() as tx:
            told: bytes = await tx.value(
                f"""
                select coalesce(string_agg(uuid_send(o.org_id), '' order by o.org_id), '') as orgs
                from (select distinct q.org_id from {self._table} q) o
                """  # noqa: S608 - a checked name
            )
        if told != self._told:  # all of them at each look would be taken apart for nothing
            self._orgs = frozenset(
                int.from_bytes(told[at : at + _ID_BYTES]) for at in range(0, len(told), _ID_BYTES)
            )
            self._told = told
        self._doubtful -= doubtful
        self._fresh_until = began + _FRESH_S
