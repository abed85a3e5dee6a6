"""Events as CloudEvents 1.0.2 in binary mode: attributes in `ce-` headers, the event Struct as the JSON payload."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import msgspec
from msgspec import to_builtins

from polis.bus.jetstream import MSG_ID
from polis.bus.message import parse_headers
from polis.bus.protocol import header_block, header_lines, one_line
from polis.proto.contract import Event, EventType, ce_source, ce_type, event_type_of, events

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID

SPEC_VERSION = "1.0"
_known: dict[str, EventType] = {}


class NotAnEvent(ValueError):
    """The message is no event that this version of the contract knows, or its payload does not fit."""


def encode(event: Event, id: UUID, time: datetime, trace: str = "") -> tuple[str, dict[str, str], bytes]:  # noqa: A002 - CloudEvents' word
    """Subject, headers and payload of an event. trace: the `traceparent` of the request that caused it."""
    kind = event_type_of(type(event))
    entity = str(getattr(event, kind.entity))
    lines = lines_of(kind.service, kind.fact, id=str(id), entity=entity, time=time, trace=trace)
    headers = {**parse_headers(header_block(lines)), MSG_ID: str(id)}
    return kind.subject(event), headers, msgspec.json.encode(event)


def lines_of(
    service: str,
    fact: str,
    *,
    id: str,  # noqa: A002 - CloudEvents' word
    entity: str,
    time: datetime,
    trace: str = "",
) -> str:
    """An event's header lines from what an outbox row holds, but for `Nats-Msg-Id`: the id, by which duplicates are told.

    ValueError when the entity or the trace holds a line break.
    """
    own = f"ce-id: {id}\r\nce-subject: {one_line(entity)}\r\nce-time: {to_builtins(time)}\r\n"
    if trace:
        own += f"traceparent: {one_line(trace)}\r\n"
    return _lines_of_all(service, fact) + own


@cache
def _lines_of_all(service: str, fact: str) -> str:
    """What each event of a kind says."""
    said = {
        "ce-specversion": SPEC_VERSION,
        "ce-source": ce_source(service),
        "ce-type": ce_type(service, fact),
        "Content-Type": "application/json",
    }
    return header_lines(said)


def decode(headers: Mapping[str, str], payload: bytes) -> Event:
    """The event in a message; fields that this version does not know are ignored. Raises NotAnEvent."""
    name = headers.get("ce-type", "")
    kind = _kind(name)
    if kind is None:
        raise NotAnEvent(f"ce-type is {name!r}")
    try:
        return msgspec.json.decode(payload, type=kind.event)
    except msgspec.DecodeError as error:
        raise NotAnEvent(f"{name}: {error}") from error


def _kind(name: str) -> EventType | None:
    if name not in _known:  # modules of the contract may have been imported since
        _known.update((ce_type(e.service, e.fact), e) for e in events())
    return _known.get(name)
