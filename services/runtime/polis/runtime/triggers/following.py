"""An event that triggers follow: what they see of it, and which of them fire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.proto import runtime
from polis.proto.contract import event_type_of
from polis.proto.trigger import OnEvent, OnMessage, OnRunEnd
from polis.runtime.component import StepFailed
from polis.runtime.components.expressions import compiled
from polis.runtime.triggers import marks, rows
from polis.runtime.triggers.marks import Occasion
from polis.service.envelope import NotAnEvent, decode

if TYPE_CHECKING:
    from polis.db import Database
    from polis.runtime.triggers.firing import Firing
    from polis.runtime.triggers.messages import Messages
    from polis.runtime.triggers.rows import Armed

ENDS: Mapping[str, str] = {
    "succeeded": "runtime.run_succeeded",
    "failed": "runtime.run_failed",
    "cancelled": "runtime.run_cancelled",
}
"""The event that tells of an end, by the state of the run."""
OF_RUNS = "runtime.run_"
POSTED = "messaging.message_posted"
_MAX_OUTPUT = 256 * 1024


class Followed(Struct, frozen=True):
    """An event as conditions and graphs see it."""

    org_id: UUID
    id: str
    type: str
    entity: str
    time: str
    data: dict[str, object]
    seq: int = 0

    @classmethod
    def of(cls, headers: Mapping[str, str], payload: bytes, seq: int = 0) -> Followed | None:
        """The event in a message; None for one that this version does not know."""
        try:
            event = decode(headers, payload)
        except NotAnEvent:
            return None
        kind = event_type_of(type(event))
        data = msgspec.json.decode(payload, type=dict[str, object])
        return cls(
            org_id=event.org_id,
            id=headers.get("Nats-Msg-Id", ""),
            type=f"{kind.service}.{kind.fact}",
            entity=headers.get("ce-subject", ""),
            time=headers.get("ce-time", ""),
            data=data,
            seq=seq,
        )

    @property
    def value(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in ("id", "type", "entity", "time", "data")}


class _Run(Struct, frozen=True):
    """The run that an event tells of, as far as triggers go by it. `chain`: runs that led to it."""

    graph: str
    state: str
    chain: int
    output: bytes | None
    error: bytes | None


async def fire(database: Database, firing: Firing, messages: Messages, event: Followed) -> None:
    """Fire every trigger of the event's org that follows it. What goes wrong with one is raised behind the others."""
    armed = await rows.listening(database.tenant(event.org_id), event.type)
    run = await _run(database, event) if armed and event.type.startswith(OF_RUNS) else None
    failures: list[Exception] = []
    for trigger in armed:
        try:
            await _fire(database, firing, trigger, event, run)
        except Exception as error:  # noqa: BLE001 - raised below
            failures.append(error)
    to_agents = [each for each in armed if isinstance(each.on.on, OnMessage)]
    if to_agents and event.type == POSTED:
        try:
            await messages.fire(event, to_agents)
        except Exception as error:  # noqa: BLE001 - as above
            failures.append(error)
    if failures:
        raise failures[0]


async def _fire(
    database: Database, firing: Firing, trigger: Armed, event: Followed, run: _Run | None
) -> None:
    on = trigger.on.on
    depth = None if run is None else run.chain + 1
    if isinstance(on, OnRunEnd):
        if run is not None and _matches(on, run):
            await firing.fire(trigger, Occasion(event.id, _told(event, run), depth=depth))
        return
    if not isinstance(on, OnEvent):
        return
    occasion = Occasion(event.id, event.value, depth=depth, throttle_s=on.throttle_s)
    try:
        if on.condition and not compiled(on.condition, ("event",)).holds({"event": event.value}):
            return
    except StepFailed as failure:
        await firing.skip(trigger, occasion, failure.kind, str(failure))
        return
    if on.debounce_s is None:
        await firing.fire(trigger, occasion)
        return
    async with database.transaction([event.org_id]) as tx:
        await marks.debounce(tx, trigger, occasion, seq=event.seq, seconds=on.debounce_s)
        tx.after_commit(firing.due.set)


async def _run(database: Database, event: Followed) -> _Run | None:
    """None for one that is deleted by now."""
    return await database.tenant(event.org_id).row(
        _Run,
        """
        select r.graph, r.state, coalesce(r.chain, 0)::integer as chain, r.error,
            case when length(r.output) <= $3 then r.output end as output
        from runtime.runs r where r.org_id = $1 and r.id = $2
        """,
        event.org_id,
        UUID(event.entity),
        _MAX_OUTPUT,
    )


def _matches(on: OnRunEnd, ended: _Run) -> bool:
    return on.graph == ended.graph and ended.state in on.states


def _told(event: Followed, ended: _Run) -> dict[str, object]:
    """What a graph is given of the run that ended: its output where that is no large one."""
    told: dict[str, object] = {"run_id": event.entity, "graph": ended.graph, "state": ended.state}
    if ended.output is not None:
        told["output"] = msgspec.json.decode(ended.output)
    if ended.error is not None:
        told["error"] = msgspec.to_builtins(msgspec.json.decode(ended.error, type=runtime.RunError))
    return told
