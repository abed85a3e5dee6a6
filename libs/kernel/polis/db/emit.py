"""Events on their way into the outbox: one statement without parameters, so that it shares a round trip with the commit.

Every text in it stands as hexadecimal digits: nothing in an event can end a literal.
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


def statement(service: str, events: Sequence[Emitted]) -> str:
    """The insert of these events, in their order, ended by a semicolon."""
    rows = ", ".join(_row(*emitted) for emitted in events)
    return f"insert into {service}.outbox (id, org_id, subject, fact, entity, payload, trace) values {rows}; "  # noqa: S608 - a checked name and digits


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
