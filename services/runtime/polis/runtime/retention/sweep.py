"""Deletes ended runs by age and by size, and programs that no run has: one process at a time, in bounded transactions.

What hangs on a run (journal, transitions, waits, tags, attempts) goes with it, in the same transaction.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from polis.runtime.retention.policy import Policy
from polis.runtime.shell.programs import RELIED_S
from polis.service.rounds import rounds
from polis.telemetry import log

if TYPE_CHECKING:
    from polis.db import Database

EVERY_S = 600.0
"""Between two turns."""
BATCH = 200
"""Runs in one transaction: each may have a thousand rows that hang on it."""
BATCHES = 100
"""Transactions in one turn; what is left waits for the next, which goes on where this one stopped."""
_PROGRAMS_S = 86_400.0
"""Between two looks for programs without runs, which reads the programs of all runs."""
_UNUSED_S = 6 * RELIED_S
"""A program is kept for longer than any process relies on having stored it."""
PAGE, PAGES = 1_000, 100
"""Runs whose size is looked up in one statement, and how often in a turn for one org."""
_FIRST, _LAST = UUID(int=0), UUID(int=2**128 - 1)
_SIZES = """
    select r.id, pg_column_size(r.input) + pg_column_size(r.steps)
        + coalesce(pg_column_size(r.output), 0) + coalesce(pg_column_size(r.error), 0)
        + coalesce(pg_column_size(r.attempts), 0) + (
            select coalesce(sum(pg_column_size(j.body)), 0) from runtime.journal j
            where j.org_id = $1 and j.run_id = r.id
        ) + (
            select coalesce(sum(pg_column_size(t.body)), 0) from runtime.transitions t
            where t.org_id = $1 and t.run_id = r.id
        ) as size
    from runtime.runs r where r.org_id = $1 and r.id < $2 order by r.id desc limit $3
"""


class Sweep:
    """The sweep of this process, at work while it leads. policy: what counts where an org has said nothing."""

    def __init__(
        self, database: Database, policy: Policy, *, batch: int = BATCH, batches: int = BATCHES
    ) -> None:
        self.policy = policy
        self._database = database
        self._batch = batch
        self._batches = batches
        self._left = 0
        self._org = _FIRST
        """Where the next turn begins."""
        self._walks: dict[UUID, _Walk] = {}
        self._programs_due = 0.0

    async def keep(self) -> None:
        """Sweep again and again, for as long as the process lives."""

        async def whole() -> None:
            log.info("runs.swept", runs=await self.turn())

        await rounds("retention", whole, every_s=EVERY_S, spread=True, led=self._database)

    async def turn(self) -> int:
        """Delete what has to go, up to the bound of a turn; how many runs went."""
        self._left = self._batches
        deleted = 0
        programs = time.monotonic() >= self._programs_due
        while self._left and (org := await self._next_org()) is not None:
            gone = await self._by_age(org) + await self._by_size(org)
            if gone or programs:
                await self._programs(org.org_id)
            deleted += gone
            if self._left:
                self._org = org.org_id
        if self._left:
            self._org = _FIRST
            if programs:
                self._programs_due = time.monotonic() + _PROGRAMS_S
        return deleted

    async def _next_org(self) -> _OrgRow | None:
        """The next org that has programs, as every org with runs does, with its policy."""
        async with self._database.across_orgs() as tx:
            return await tx.row(
                _OrgRow,
                """
                select p.org_id, r.days, r.bytes from (
                    select org_id from runtime.programs where org_id > $1 order by org_id limit 1
                ) p left join runtime.retention r on r.org_id = p.org_id
                """,
                self._org,
            )

    async def _by_age(self, org: _OrgRow) -> int:
        days = org.policy.over(self.policy).days
        if days is None:
            return 0
        # Ids are in the order of time: who was not created by then has not ended by then.
        return await self._delete(
            org.org_id,
            """
            select r.id from runtime.runs r
            where r.org_id = $1 and r.id > $2 and r.id < $3 and r.ended_at < clock_timestamp() - $5::interval
            order by r.id limit $4 for update skip locked
            """,
            await self._id_before(days),
            timedelta(days=days),
        )

    async def _by_size(self, org: _OrgRow) -> int:
        allowed = org.policy.over(self.policy).bytes
        if allowed is None:
            self._walks.pop(org.org_id, None)
            return 0
        first = await self._first_beyond(org.org_id, allowed)
        if first is None:
            return 0
        return await self._delete(
            org.org_id,
            """
            select r.id from runtime.runs r
            where r.org_id = $1 and r.id > $2 and r.id <= $3 and r.ended_at is not null
            order by r.id limit $4 for update skip locked
            """,
            first,
        )

    async def _first_beyond(self, org_id: UUID, allowed: int) -> UUID | None:
        """The newest run for which there is no room; None as long as none is found.

        From the newest back; where there are more runs than are looked at in a turn, the next one goes on from there.
        """
        walk = self._walks.pop(org_id, None) or _Walk(_LAST, 0)
        before, total = walk.before, walk.total
        for _ in range(PAGES):
            async with self._database.across_orgs() as tx:
                sizes = await tx.rows(_Sized, _SIZES, org_id, before, PAGE)
            for run in sizes:
                total += run.size
                if total > allowed:
                    return run.id
            if len(sizes) < PAGE:
                return None
            before = sizes[-1].id
        self._walks[org_id] = _Walk(before, total)
        return None

    async def _delete(self, org_id: UUID, chosen: str, until: UUID, *args: object) -> int:
        """Delete what is chosen, batch by batch, from the oldest on. Runs that stay are passed by once."""
        after, total = _FIRST, 0
        while self._left:
            self._left -= 1
            async with self._database.across_orgs() as tx:
                gone = await tx.rows(
                    UUID,
                    f"delete from runtime.runs where org_id = $1 and id = any (array({chosen})) returning id",  # noqa: S608 - one of two constants
                    org_id,
                    after,
                    until,
                    self._batch,
                    *args,
                )
            total += len(gone)
            if len(gone) < self._batch:
                break
            after = max(gone)
        return total

    async def _programs(self, org_id: UUID) -> None:
        """Those that no run has go, unless some process may still rely on them."""
        async with self._database.across_orgs() as tx:
            await tx.execute(
                """
                delete from runtime.programs p
                where p.org_id = $1 and p.used_at < clock_timestamp() - make_interval(secs => $2)
                    and p.digest <> all (array(select distinct r.program from runtime.runs r where r.org_id = $1))
                """,
                org_id,
                _UNUSED_S,
            )

    async def _id_before(self, days: int) -> UUID:
        """The first id of the moment that lies so many days back, by the database's clock."""
        async with self._database.across_orgs() as tx:
            ms: int = await tx.value(
                "select (extract(epoch from clock_timestamp() - $1::interval) * 1000)::bigint",
                timedelta(days=days),
            )
        return UUID(int=max(0, ms) << 80)


class _Sized(Struct, frozen=True):
    id: UUID
    size: int


class _Walk(Struct, frozen=True):
    """How far the sizes of an org's runs have been added up: all that are not older than `before`."""

    before: UUID
    total: int


class _OrgRow(Struct, frozen=True):
    org_id: UUID
    days: int | None
    bytes: int | None

    @property
    def policy(self) -> Policy:
        return Policy(self.days, self.bytes)
