"""An event that triggers follow: what they see of it, and which of them fire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.proto import runtime
from polis.proto.contract import event_type_of
from polis.proto.trigger import OnEvent, OnRunEnd
from polis.runtime.component import StepFailed
from polis.runtime.components.expressions import compiled
from polis.runtime.triggers import marks, rows
from polis.runtime.triggers.marks import Occasion
from polis.service.envelope import NotAnEvent, decode

if TYPE_CHECKING:
    from polis.db import Database
    from polis.runtime.triggers.firing import Firing
    from polis.runtime.triggers.rows import Armed

ENDS: Mapping[str, str] = {
    "succeeded": "runtime.run_succeeded",
    "failed": "runtime.run_failed",
    "cancelled": "runtime.run_cancelled",
}
"""The event that tells of an end, by the state of the run."""
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


class _Ended(Struct, frozen=True):
    graph: str
    state: str
    depth: int
    output: bytes | None
    error: bytes | None


async def fire(database: Database, firing: Firing, event: Followed) -> None:
    """Fire every trigger of the event's org that follows it. Refused when it may go better later."""
    armed = await rows.listening(database.tenant(event.org_id), event.type)
    ended = None
    if any(isinstance(trigger.on.on, OnRunEnd) for trigger in armed):
        ended = await _ended(database, event)
    for trigger in armed:
        on = trigger.on.on
        if isinstance(on, OnEvent):
            await _on_event(database, firing, trigger, on, event)
        elif isinstance(on, OnRunEnd) and ended is not None and _matches(on, ended):
            value = _told(event, ended)
            await firing.fire(trigger, Occasion(event.id, value, depth=ended.depth + 1))


async def _on_event(database: Database, firing: Firing, trigger: Armed, on: OnEvent, event: Followed) -> None:
    occasion = Occasion(event.id, event.value, throttle_s=on.throttle_s)
    if on.condition:
        try:
            if not compiled(on.condition, ("event",)).holds({"event": event.value}):
                return
        except StepFailed as failure:
            await firing.skip(trigger, occasion, failure.kind, str(failure))
            return
    if on.debounce_s is None:
        await firing.fire(trigger, occasion)
        return
    async with database.transaction([event.org_id]) as tx:
        await marks.debounce(
            tx, trigger, event.id, msgspec.json.encode(event.value), seq=event.seq, seconds=on.debounce_s
        )


async def _ended(database: Database, event: Followed) -> _Ended | None:
    """The run that an event tells of; None when it is deleted by now."""
    return await database.tenant(event.org_id).row(
        _Ended,
        """
        select r.graph, r.state, coalesce(r.chain, 0)::integer as depth, r.error,
            case when length(r.output) <= $3 then r.output end as output
        from runtime.runs r where r.org_id = $1 and r.id = $2 and r.ended_at is not null
        """,
        event.org_id,
        UUID(event.entity),
        _MAX_OUTPUT,
    )


def _matches(on: OnRunEnd, ended: _Ended) -> bool:
    return on.graph == ended.graph and ended.state in on.states


def _told(event: Followed, ended: _Ended) -> dict[str, object]:
    """What a graph is given of the run that ended: its output where that is no large one."""
    told: dict[str, object] = {"run_id": event.entity, "graph": ended.graph, "state": ended.state}
    if ended.output is not None:
        told["output"] = msgspec.json.decode(ended.output)
    if ended.error is not None:
        told["error"] = msgspec.to_builtins(msgspec.json.decode(ended.error, type=runtime.RunError))
    return told
