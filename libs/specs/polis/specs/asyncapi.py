"""AsyncAPI 3.1 of what travels on NATS: requests with their queue group, events as CloudEvents, live topics; and of the socket."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from polis.proto.contract import events, live_topics, operations
from polis.proto.problems import MESH_PROBLEMS
from polis.proto.registry import SERVICES, load
from polis.specs import headers
from polis.specs.examples import example
from polis.specs.schemas import Json, components, documented, introduction, summary
from polis.specs.socket import add_socket

if TYPE_CHECKING:
    from polis.proto import Operation
    from polis.proto.contract import EventType, LiveTopic

_REF = "#/components/schemas/{name}"
_JSON = "application/json"
_MESH_PROBLEM = "MeshProblem"
_BINDING_VERSION = "0.1.0"
_ACCOUNT = {"type": "userPassword", "description": "Each service has a user with its own permissions."}


def asyncapi(service: str) -> Json:
    """The document of what one service answers, publishes and hears; the gateway's tells of all services."""
    load()
    names = documented(service)
    asked = [o for name in names for o in operations(name) if not o.local]
    told = [e for name in names for e in events(name)]
    published = [e for entry in SERVICES for e in events(entry.name)]
    heard = [(name, e) for name in names for e in published if name in e.listeners]
    live = [topic for name in names for topic in live_topics(name)]
    document: Json = {
        "asyncapi": "3.1.0",
        "info": {
            "title": "Polis on NATS" if service == "gateway" else f"Polis on NATS: {service}",
            "version": version("polis-proto"),
            "description": introduction(service),
            "license": {"name": "MIT"},
        },
        "defaultContentType": _JSON,
        "servers": {"mesh": {"host": "127.0.0.1:4222", "protocol": "nats", "security": [_ACCOUNT]}},
        "channels": {},
        "operations": {},
        "components": {"schemas": _schemas(asked, [*told, *(e for _, e in heard)], live), "messages": {}},
    }
    for operation in asked:
        _add_request(document, operation)
    for event in told:
        _add_event(document, f"{event.service}.{event.fact}", "send", event)
    for listener, event in heard:
        _add_event(document, f"{listener}.on_{event.fact}", "receive", event, queue=listener)
    for topic in live:
        _add_live(document, topic)
    if service == "gateway":
        add_socket(document)
    return document


def _add_request(document: Json, operation: Operation) -> None:
    name = operation.request.__name__
    messages: Json = document["components"]["messages"]
    messages[name] = _message(
        name,
        summary(operation.request),
        headers=headers.IDEMPOTENT_REQUEST if operation.idempotent else headers.REQUEST,
        payload={"$ref": _REF.format(name=name)},
        content_type="application/msgpack" if operation.binary else _JSON,
        shown=None if operation.binary else example(operation.request),
    )
    messages[f"{name}Answer"] = _answer(operation)
    messages[f"{name}Refusal"] = _refusal(operation)
    channel, reply = operation.subject, f"{operation.subject}.reply"
    document["channels"][channel] = _channel(channel, summary(operation.request), name)
    document["channels"][reply] = _channel(
        None, "The private inbox that the request names.", f"{name}Answer", f"{name}Refusal"
    )
    document["operations"][operation.subject] = {
        "action": "receive",
        "channel": _pointer("channels", channel),
        "title": operation.name,
        "summary": summary(operation.request),
        "tags": [{"name": operation.service}],
        "messages": [_pointer("channels", channel, "messages", name)],
        "bindings": {"nats": {"queue": operation.service, "bindingVersion": _BINDING_VERSION}},
        "reply": {
            "channel": _pointer("channels", reply),
            "messages": [
                _pointer("channels", reply, "messages", f"{name}{part}") for part in ("Answer", "Refusal")
            ],
        },
    }


def _answer(operation: Operation) -> Json:
    name = f"{operation.request.__name__}Answer"
    if operation.answer is None:
        return _message(name, "Done; the message is empty.", headers=headers.ANSWER, payload={"const": ""})
    if operation.answer is bytes:
        payload: Json = {"type": "string", "format": "binary"}
        octets = "application/octet-stream"
        return _message(name, "One part.", headers=headers.PART, payload=payload, content_type=octets)
    (payload,), _ = components([operation.answer], _REF)
    return _message(
        name,
        summary(operation.answer),
        headers=headers.PART if operation.streams else headers.ANSWER,
        payload=payload,
        shown=example(operation.answer),
    )


def _refusal(operation: Operation) -> Json:
    own = [{"$ref": _REF.format(name=kind.__name__)} for kind in operation.problems]
    return _message(
        f"{operation.request.__name__}Refusal",
        "Why it was refused.",
        headers=headers.REFUSAL,
        payload={"oneOf": [*own, {"$ref": _REF.format(name=_MESH_PROBLEM)}]},
        content_type="application/problem+json",
    )


def _add_event(document: Json, key: str, action: str, event: EventType, *, queue: str = "") -> None:
    name = event.event.__name__
    channel = f"event.{event.service}.{event.fact}"
    document["components"]["messages"][name] = _message(
        name,
        summary(event.event),
        headers=headers.event_headers(event),
        payload={"$ref": _REF.format(name=name)},
        shown=example(event.event),
    )
    parameters = {
        "org": {"description": "The org's id."},
        "entity": {"description": f"`{event.entity}`: events of one keep their order."},
    }
    document["channels"][channel] = _channel(f"{channel}.{{org}}.{{entity}}", summary(event.event), name) | {
        "parameters": parameters
    }
    document["operations"][key] = {
        "action": action,
        "channel": _pointer("channels", channel),
        "summary": summary(event.event),
        "tags": [{"name": event.service}],
        "messages": [_pointer("channels", channel, "messages", name)],
    }
    if queue:
        document["operations"][key]["description"] = (
            f"Durable consumer of {queue}: each event takes effect exactly once."
        )


def _add_live(document: Json, topic: LiveTopic) -> None:
    name, channel = topic.message.__name__, f"live.{topic.topic}"
    payload = {"$ref": _REF.format(name=name)}
    document["components"]["messages"][name] = _message(
        name, summary(topic.message), payload=payload, shown=example(topic.message)
    )
    document["channels"][channel] = _channel(
        f"live.{{org}}.{topic.topic}.{{id}}", summary(topic.message), name
    ) | {
        "description": "Never stored, lossy by contract: a subscriber that finds a gap reads a snapshot.",
        "parameters": {"org": {"description": "The org's id."}, "id": {"description": f"`{topic.entity}`"}},
    }
    document["operations"][f"{topic.service}.live_{topic.topic}"] = {
        "action": "send",
        "channel": _pointer("channels", channel),
        "summary": summary(topic.message),
        "tags": [{"name": topic.service}],
        "messages": [_pointer("channels", channel, "messages", name)],
    }


def _schemas(asked: list[Operation], told: list[EventType], live: list[LiveTopic]) -> Json:
    problems = {problem for o in asked for problem in o.problems} | set(MESH_PROBLEMS)
    answers = [o.answer for o in asked if o.answer not in (None, bytes)]
    kinds: list[Any] = [o.request for o in asked] + answers + sorted(problems, key=lambda p: p.type)
    kinds += [e.event for e in told] + [topic.message for topic in live]
    mesh = [{"$ref": _REF.format(name=kind.__name__)} for kind in MESH_PROBLEMS]
    told_once = {_MESH_PROBLEM: {"description": "What any operation may be refused with.", "oneOf": mesh}}
    found: Json = _without_discriminators(components(kinds, _REF)[1])
    return found | told_once


def _without_discriminators(schema: Any) -> Any:
    """Theirs is a name alone and says less than the tags, which are constants here, do by themselves."""
    if isinstance(schema, dict):
        told = isinstance(schema.get("discriminator"), dict)
        return {
            key: _without_discriminators(value)
            for key, value in schema.items()
            if not (told and key == "discriminator")
        }
    return [_without_discriminators(each) for each in schema] if isinstance(schema, list) else schema


def _message(
    name: str,
    text: str,
    *,
    payload: Json,
    headers: Json | None = None,
    content_type: str = _JSON,
    shown: Any = None,
) -> Json:
    message: Json = {"name": name, "summary": text, "contentType": content_type, "payload": payload}
    if headers is not None:
        message["headers"] = headers
    if shown is not None:
        message["examples"] = [{"payload": shown}]
    return message


def _channel(address: str | None, text: str, *messages: str) -> Json:
    return {
        "address": address,
        "summary": text,
        "messages": {name: _pointer("components", "messages", name) for name in messages},
    }


def _pointer(*steps: str) -> Json:
    return {"$ref": "#/" + "/".join(steps)}
