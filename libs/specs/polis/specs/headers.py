"""Schemas of the headers that messages on NATS carry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polis.proto.contract import ce_source, ce_type

if TYPE_CHECKING:
    from polis.proto.contract import EventType
    from polis.specs.schemas import Json

_UUID: Json = {"type": "string", "format": "uuid"}
_DIGITS: Json = {"type": "string", "pattern": "^[0-9]+$"}


def _headers(properties: Json, *, required: tuple[str, ...] = ()) -> Json:
    return {"type": "object", "properties": properties, "required": list(required)}


def event_headers(event: EventType) -> Json:
    """CloudEvents 1.0.2 in binary mode."""
    attributes: Json = {
        "ce-specversion": {"const": "1.0"},
        "ce-id": _UUID,
        "ce-source": {"const": ce_source(event.service)},
        "ce-type": {"const": ce_type(event.service, event.fact)},
        "ce-subject": {"type": "string", "description": f"The event's `{event.entity}`."},
        "ce-time": {"type": "string", "format": "date-time"},
        "Content-Type": {"const": "application/json"},
        "Nats-Msg-Id": _UUID | {"description": "The same as `ce-id`: by it duplicates are told."},
    }
    return _headers(attributes | {"traceparent": _TRACE}, required=tuple(attributes))


_TRACE: Json = {"type": "string", "description": "W3C trace context."}
REQUEST = _headers(
    {
        "traceparent": _TRACE,
        "Polis-Deadline": _DIGITS | {"description": "Unix milliseconds; work past it is cancelled."},
        "Polis-Actor": {"type": "string", "description": "The actor's access token (EdDSA JWT)."},
        "Polis-Org": _UUID | {"description": "Selects one of the actor's orgs."},
    }
)
_KEY: Json = {"type": "string", "maxLength": 255, "description": "The same key gives the same answer."}
IDEMPOTENT_REQUEST = _headers(REQUEST["properties"] | {"Idempotency-Key": _KEY})
ANSWER = _headers({"Idempotency-Replayed": {"const": "true"}})
PART = _headers(
    {
        "Polis-Part": _DIGITS
        | {
            "description": "Number of the part, from 0. An empty message to its reply subject is credit for one more."
        },
        "Polis-End": _DIGITS | {"description": "In the last, empty message: how many parts there were."},
    }
)
REFUSAL = _headers(
    {
        "Nats-Service-Error-Code": {
            "type": "string",
            "pattern": "^[45][0-9]{2}$",
            "description": "The problem's status.",
        },
        "Nats-Service-Error": {"type": "string", "description": "The problem's title."},
        "Content-Type": {"const": "application/problem+json"},
    },
    required=("Nats-Service-Error-Code", "Nats-Service-Error", "Content-Type"),
)
