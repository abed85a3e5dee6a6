"""Firing: the one way from an occasion to a run. It starts a run as anybody does, and commits with it that it did."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from polis.proto import Refused
from polis.proto.problems import DeadlineExceeded
from polis.proto.runtime import StartRun
from polis.proto.trigger import MAX_DEPTH, OnEvent, OnMessage
from polis.runtime import metrics
from polis.runtime.runs import start
from polis.runtime.triggers import marks
from polis.runtime.triggers.marks import Occasion, why_not
from polis.runtime.triggers.stand_in import StandIn
from polis.telemetry import log

if TYPE_CHECKING:
    from polis.db import Transaction
    from polis.proto.runtime import Run
    from polis.proto.trigger import TriggerSpec
    from polis.runtime.own import Own
    from polis.runtime.triggers.rows import Armed
    from polis.service import Actor, Kernel


class Closed(Exception):
    """There is nothing to fire for any more: it was fired for before, or the trigger has moved on."""


class Firing:
    """Starts the runs of triggers. `due` is set when something may be due sooner than was thought."""

    def __init__(self, kernel: Kernel, own: Own) -> None:
        self.stand_in = StandIn(kernel)
        self._database = kernel.database
        self._own = own
        self.due = asyncio.Event()

    async def fire(self, trigger: Armed, occasion: Occasion) -> UUID | None:
        """The run's id; None when none was started, which the trigger then says why.

        The run of an earlier time when it has fired for this occasion. Refused when it may go better later.
        """
        if occasion.depth is not None and occasion.depth > MAX_DEPTH:
            await self.refuse(
                trigger, occasion, "trigger.too_deep", f"{MAX_DEPTH} of them have led to each other"
            )
            return None
        try:
            run = await self._start(trigger, occasion)
        except Closed:
            return await self._earlier(trigger, occasion)
        except Refused as refusal:
            if passes(refusal):
                raise
            await self.refuse(trigger, occasion, refusal.problem.type, told(refusal))
            return None
        metrics.triggers_fired.labels("started").inc()
        log.info("trigger.fired", org_id=str(trigger.org_id), trigger_id=str(trigger.id), run_id=str(run.id))
        return run.id

    async def refuse(self, trigger: Armed, occasion: Occasion, kind: str, message: str) -> None:
        """Say why an occasion that was to start a run started none."""
        metrics.triggers_fired.labels("refused").inc()
        log.warning("trigger.refused", org_id=str(trigger.org_id), trigger_id=str(trigger.id), problem=kind)
        await self._note(trigger, occasion, kind, message, refused=True)

    async def skip(self, trigger: Armed, occasion: Occasion, kind: str = "", message: str = "") -> None:
        """An occasion was not to start a run. With a reason, the trigger says it."""
        metrics.triggers_fired.labels("skipped").inc()
        await self._note(trigger, occasion, kind, message, refused=False)

    async def _start(self, trigger: Armed, occasion: Occasion) -> Run:
        spec = trigger.on
        request = StartRun(
            graph=trigger.graph,
            input=given(spec, occasion.value),
            agent=agent_of(trigger, spec),
            environment=trigger.environment,
        )
        ctx = await self.stand_in.context(
            self._own, request, trigger.org_id, trigger.activated_by, trigger.scopes
        )
        demand_reading(ctx.actor, spec)
        return await start.start_with(request, ctx, _mark(trigger, occasion))

    async def _earlier(self, trigger: Armed, occasion: Occasion) -> UUID | None:
        found = await self._database.tenant(trigger.org_id).value(
            """
            select f.run_id from runtime.firings f
            where f.org_id = $1 and f.trigger_id = $2 and f.occurrence = $3
            """,
            trigger.org_id,
            trigger.id,
            occasion.occurrence,
        )
        if found is None and occasion.throttle_s is not None:
            await self.skip(trigger, occasion)
        return found if isinstance(found, UUID) else None

    async def _note(
        self, trigger: Armed, occasion: Occasion, kind: str, message: str, *, refused: bool
    ) -> None:
        why = why_not(kind, message, datetime.now(UTC)) if kind else None
        async with self._database.transaction([trigger.org_id]) as tx:
            await marks.not_fired(tx, trigger, occasion, why, refused=refused)


def _mark(trigger: Armed, occasion: Occasion) -> Callable[[Transaction, Run], Awaitable[None]]:
    async def mark(tx: Transaction, run: Run) -> None:
        if not await marks.first_time(tx, trigger, occasion.occurrence, run.id):
            raise Closed
        if not await marks.fired(tx, trigger, occasion, run.id):
            raise Closed
        await marks.name_run(tx, trigger, run.id, occasion.occurrence, occasion.depth)

    return mark


def given(spec: TriggerSpec, value: object) -> dict[str, object]:
    """What a run starts with: the trigger's constants, and what it fired for at the input that takes it."""
    return dict(spec.input) if spec.into is None else {**spec.input, spec.into: value}


def agent_of(trigger: Armed, spec: TriggerSpec) -> str | None:
    """Who its runs act as: the very agent that was meant when it was activated, not another of that name."""
    return str(trigger.acts_as) if trigger.acts_as is not None else spec.agent


def demand_reading(actor: Actor, spec: TriggerSpec) -> None:
    """Refused(Forbidden) unless they may read what the events that it follows tell of."""
    if isinstance(spec.on, OnEvent):
        actor.demand(spec.on.type.partition(".")[0] + ":read")
    if isinstance(spec.on, OnMessage):
        actor.demand("messaging:read")


def passes(refusal: Refused) -> bool:
    """Whether the same may succeed later without anybody doing anything."""
    return refusal.problem.retryable or isinstance(refusal.problem, DeadlineExceeded)


def told(refusal: Refused) -> str:
    facts = msgspec.json.encode(refusal.problem).decode()
    return f"{refusal} {facts}" if facts != "{}" else str(refusal)
