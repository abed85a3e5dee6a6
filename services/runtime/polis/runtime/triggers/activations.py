"""Which triggers are effective: as the active version of each graph names them, read from the catalog whenever that changes.

A change only marks what is to be read again, so nothing is lost while the catalog is away, and reading it twice does no
harm. Once an hour the catalog's list is compared with what is known here, for events that were never heard.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from polis.db import new_id
from polis.proto import Refused, catalog
from polis.proto.graph import Graph
from polis.proto.runtime import StartRun
from polis.proto.trigger import TriggerSpec
from polis.runtime.runs import resolve
from polis.runtime.triggers import written
from polis.runtime.triggers.firing import demand_reading, passes, told
from polis.runtime.triggers.marks import why_not
from polis.runtime.triggers.written import Source, Wanted
from polis.service.rounds import rounds
from polis.telemetry import log, trace

if TYPE_CHECKING:
    from polis.db import Transaction
    from polis.proto.catalog import Effective
    from polis.runtime.own import Own
    from polis.runtime.triggers.stand_in import StandIn
    from polis.service import Kernel

LOOK_S = 5.0
"""The longest that what another process was told waits here."""
COMPARE_S = 3600.0
_TAKEN_AT_ONCE = 50
_AGAIN_S = 2.0
_AT_ONCE = 8


class Activations:
    """Keeps the effective triggers to what the catalog says."""

    def __init__(self, kernel: Kernel, own: Own, stand_in: StandIn) -> None:
        self._kernel = kernel
        self._database = kernel.database
        self._own = own
        self._stand_in = stand_in
        self.wake = asyncio.Event()
        self._compare_at = 0.0
        self.on_change: list[asyncio.Event] = []

    async def run(self) -> None:
        """For as long as the process lives."""
        await rounds("activations", self._turn, every_s=LOOK_S, wake=self.wake)

    async def _turn(self) -> None:
        now = asyncio.get_running_loop().time()
        if now >= self._compare_at:
            await self._compare()
            self._compare_at = now + COMPARE_S * random.uniform(0.8, 1.0)  # noqa: S311 - no secret
        while await self._read_stale():
            pass

    # What is to be read

    async def mark(self, tx: Transaction, org_id: UUID, resource_id: UUID, environment: str) -> None:
        """Another version is active there from now on, or none."""
        await tx.execute(
            """
            insert into runtime.trigger_sources as s (org_id, resource_id, environment, stale, due_at)
            values ($1, $2, $3, $4, clock_timestamp())
            on conflict (org_id, resource_id, environment) do update
                set stale = excluded.stale, due_at = excluded.due_at, tries = 0
            """,
            org_id,
            resource_id,
            environment,
            new_id(),
        )
        tx.after_commit(self.wake.set)

    async def mark_all(self, tx: Transaction, org_id: UUID, resource_id: UUID) -> None:
        """The resource has changed: every activation of it that is known here is to be read again."""
        await tx.execute(
            """
            update runtime.trigger_sources set stale = $3, due_at = clock_timestamp(), tries = 0
            where org_id = $1 and resource_id = $2
            """,
            org_id,
            resource_id,
            new_id(),
        )
        tx.after_commit(self.wake.set)

    async def _compare(self) -> None:
        """Mark whatever the catalog has otherwise than it is known here."""
        listed: list[catalog.EffectiveGraph] = []
        request = catalog.ListEffective()
        while True:
            page = await self._kernel.caller.call(request, token=await self._kernel.keys.own_token())
            listed += page.items
            if page.next_cursor is None:
                break
            request = catalog.ListEffective(after=page.next_cursor)
        async with self._database.across_orgs() as tx:
            marked = await tx.execute(
                """
                with listed as (
                    select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::integer[])
                        as l (org_id, resource_id, environment, number)
                ), gone as (
                    select s.org_id, s.resource_id, s.environment from runtime.trigger_sources s
                    left join listed l on l.org_id = s.org_id and l.resource_id = s.resource_id
                        and l.environment = s.environment
                    where l.org_id is null and exists (
                        select from runtime.triggers t where t.org_id = s.org_id and t.resource_id = s.resource_id
                            and t.environment = s.environment and t.ended_at is null)
                )
                insert into runtime.trigger_sources as s (org_id, resource_id, environment, stale, due_at)
                select org_id, resource_id, environment, $5, clock_timestamp() from (
                    select org_id, resource_id, environment, number from listed
                    union all select org_id, resource_id, environment, null from gone
                ) as a (org_id, resource_id, environment, number)
                where not exists (
                    select from runtime.trigger_sources k where k.org_id = a.org_id and k.resource_id = a.resource_id
                        and k.environment = a.environment and k.number = a.number)
                    -- Or read before the catalog knew by what token: whoever activates something has some scope.
                    or exists (
                        select from runtime.triggers t where t.org_id = a.org_id and t.resource_id = a.resource_id
                            and t.environment = a.environment and t.ended_at is null and t.scopes = '{}')
                on conflict (org_id, resource_id, environment) do update
                    set stale = excluded.stale, due_at = excluded.due_at, tries = 0
                """,
                [a.org_id for a in listed],
                [a.resource_id for a in listed],
                [a.environment for a in listed],
                [a.number for a in listed],
                new_id(),
            )
            await written.forget(tx)
        if marked:
            log.info("triggers.compared", active=len(listed), marked=marked)

    # Reading it

    async def _read_stale(self) -> bool:
        """Read some of what is marked; whether there may be more."""
        async with self._database.across_orgs() as tx:
            sources = await tx.rows(
                Source,
                """
                with due as (
                    select s.org_id, s.resource_id, s.environment from runtime.trigger_sources s
                    where s.due_at <= clock_timestamp() order by s.due_at limit $1 for update skip locked
                )
                update runtime.trigger_sources s set tries = s.tries + 1,
                    due_at = clock_timestamp() + make_interval(secs => least($2::float8 * (s.tries + 1), 60))
                from due where s.org_id = due.org_id and s.resource_id = due.resource_id
                    and s.environment = due.environment
                returning s.org_id, s.resource_id, s.environment, s.stale
                """,
                _TAKEN_AT_ONCE,
                _AGAIN_S,
            )
        slots = asyncio.Semaphore(_AT_ONCE)
        await asyncio.gather(*(self._read(source, slots) for source in sources))
        return len(sources) == _TAKEN_AT_ONCE

    async def _read(self, source: Source, slots: asyncio.Semaphore) -> None:
        """One activation; what goes wrong with it is tried again later and keeps no other waiting."""
        async with slots:
            try:
                with trace.enter(trace.start()):
                    effective = await self._effective(source)
                    wanted = [] if effective is None else await self._wanted(effective)
                    await self._write(source, effective, wanted)
            except Refused as refusal:
                log.warning(
                    "trigger.unread", resource_id=str(source.resource_id), problem=refusal.problem.type
                )
            except Exception as error:  # noqa: BLE001 - a defect of ours must not keep the others waiting
                log.error("trigger.unreadable", resource_id=str(source.resource_id), exc_info=error)

    async def _effective(self, source: Source) -> Effective | None:
        """What is active, if triggers of it are effective."""
        request = catalog.GetEffective(source.org_id, source.resource_id, source.environment)
        try:
            found = await self._kernel.caller.call(request, token=await self._kernel.keys.own_token())
        except Refused as refusal:
            if isinstance(refusal.problem, catalog.NotActive):
                return None
            raise
        return found if found.type == "graph" and found.status != "deprecated" else None

    async def _wanted(self, effective: Effective) -> list[Wanted]:
        graph = msgspec.convert(effective.content, Graph)
        return [await self._checked(effective, name, spec) for name, spec in graph.triggers.items()]

    async def _checked(self, effective: Effective, name: str, spec: TriggerSpec) -> Wanted:
        """A trigger, with what would keep it from firing now. Refused when that cannot be known at this moment."""
        request = StartRun(graph=effective.key, agent=spec.agent, environment=effective.environment)
        acts_as = None
        try:
            ctx = await self._stand_in.context(
                self._own, request, effective.org_id, effective.activated_by, effective.scopes
            )
            demand_reading(ctx.actor, spec)
            if spec.agent is not None:
                acts_as = await resolve.actor_id(ctx, spec.agent)
            active = await self._own.graphs.active(ctx, effective.key, effective.environment)
            resolve.check_scopes(ctx.actor, active.bound.program.scopes)
        except Refused as refusal:
            if passes(refusal):
                raise
            fault = why_not(refusal.problem.type, told(refusal), datetime.now(UTC))
            return Wanted(name, spec, acts_as, fault)
        return Wanted(name, spec, acts_as, None)

    # Writing what it says

    async def _write(self, source: Source, effective: Effective | None, wanted: Sequence[Wanted]) -> None:
        """Make these the effective triggers, unless the activation has changed again meanwhile."""
        async with self._database.transaction([source.org_id]) as tx:
            if not await written.settle(tx, source, effective, named=bool(wanted)):
                return
            known = {row.name: row for row in await written.known(tx, source)}
            await written.end(tx, source, [each.name for each in wanted])
            now: datetime = await tx.value("select clock_timestamp()")
            for each in wanted:
                if effective is not None:
                    await written.put(tx, effective, each, known.get(each.name), now)
            tx.after_commit(self._changed)

    def _changed(self) -> None:
        for event in self.on_change:
            event.set()
