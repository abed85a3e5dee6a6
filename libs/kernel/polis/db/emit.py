"""Events on their way into the outbox: a few in the round trip of the commit, many as arrays in one of their own.

A statement without parameters can share the commit's round trip; every text in it stands as hexadecimal digits, so nothing
in an event can end a literal. PostgreSQL reads such a text slowly: from `MANY` events on, arrays cost less.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias
from uuid import UUID

import msgspec

from polis.proto.contract import event_type_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from polis.proto import Event
    from polis.telemetry import Trace

Emitted: TypeAlias = "tuple[UUID, Event, Trace | None]"
"""An event with its id and what led to it."""

MANY = 8


def statement(service: str, events: Sequence[Emitted]) -> str:
    """The insert of these events, in their order, ended by a semicolon."""
    rows = ", ".join(_row(*emitted) for emitted in events)
    return f"insert into {service}.outbox (id, org_id, subject, fact, entity, payload, trace) values {rows}; "  # noqa: S608 - a checked name and digits


def bulk(service: str) -> str:
    """The insert of events that come as `columns`, in their order."""
    return f"""
        insert into {service}.outbox (id, org_id, subject, fact, entity, payload, trace)
        select e.id, e.org_id, e.subject, e.fact, e.entity, e.payload, e.trace
        from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::text[])
            with ordinality as e (id, org_id, subject, fact, entity, payload, trace, i) order by e.i
        """  # noqa: S608 - a checked name


def columns(events: Sequence[Emitted]) -> tuple[list[object], ...]:
    """Ids, orgs, subjects, facts, entities, payloads and traces."""
    kinds = [event_type_of(type(event)) for _, event, _ in events]
    return (
        [event_id for event_id, _, _ in events],
        [event.org_id for _, event, _ in events],
        [kind.subject(event) for kind, (_, event, _) in zip(kinds, events, strict=True)],
        [kind.fact for kind in kinds],
        [str(getattr(event, kind.entity)) for kind, (_, event, _) in zip(kinds, events, strict=True)],
        [msgspec.json.encode(event) for _, event, _ in events],
        [None if trace is None else trace.header for _, _, trace in events],
    )


def _row(event_id: UUID, event: Event, trace: Trace | None) -> str:
    kind = event_type_of(type(event))
    texts = (kind.subject(event), kind.fact, str(getattr(event, kind.entity)))
    payload = f"decode('{msgspec.json.encode(event).hex()}', 'hex')"
    origin = _text(trace.header) if trace is not None else "null"
    return f"({_uuid(event_id)}, {_uuid(event.org_id)}, {', '.join(map(_text, texts))}, {payload}, {origin})"


def _uuid(value: UUID) -> str:
    if not isinstance(value, UUID):
        raise TypeError(f"not a UUID: {value!r}")
    return f"'{value}'"


def _text(value: str) -> str:
    return f"convert_from(decode('{value.encode().hex()}', 'hex'), 'UTF8')"
