"""The contract as Markdown for language models: an index with links (llmstxt.org) and the whole in one text."""

from __future__ import annotations

import json
import shlex
from typing import Any

from polis.proto.contract import EVERY_SERVICE, INTERNAL, Operation, events, operations, problems
from polis.proto.problems import MESH_PROBLEMS
from polis.proto.registry import load
from polis.specs.examples import example
from polis.specs.openapi import PREFIX, places
from polis.specs.schemas import Json, components, description, documented, introduction, messages, summary

_FILES = {
    "openapi.json": "OpenAPI 3.1 of the routes",
    "asyncapi.json": "AsyncAPI 3.1 of requests and events on NATS",
    "schemas.json": "JSON Schema 2020-12 of every message",
    "tools.json": "the operations as tools of an agent (MCP)",
    "llms-full.txt": "everything in one text",
}
_HOW = f"""\
All routes lie under `{PREFIX}` of the gateway. Send `Authorization: Bearer <access token>`, or an API key there; a token comes from `sign_in`, or for an
agent from `sign_in_client`. `X-Org-Id` selects one of the caller's orgs. Whatever changes something may carry `Idempotency-Key`: the same
key gives the same answer and one effect. Bodies are JSON; a field that is not declared is refused with its JSON pointer. Lists are
pages: pass `next_cursor` back as `after`. A refusal is `application/problem+json` (RFC 9457): go by `type` and `status`.
"""


def llms(service: str) -> str:
    """The index: what there is, with a line and a link for each operation, event and problem."""
    load()
    lines = [_heading(service), _HOW, "## Documents\n"]
    lines += [f"- [{name}](/docs/{name}): {text}" for name, text in _FILES.items()]
    for name in documented(service):
        routed = [o for o in operations(name) if o.path is not None]
        lines += [f"\n## Operations of {name}\n", *(_link(operation) for operation in routed)]
    lines += ["\n## Optional\n"]
    lines += [
        f"- [{e.fact}](/docs/asyncapi.json#/components/messages/{e.event.__name__}): {summary(e.event)}"
        for name in documented(service)
        for e in events(name)
    ]
    return "\n".join(lines) + "\n"


def llms_full(service: str) -> str:
    """Everything: operations with fields, refusals and a call to try, then events, messages and problems."""
    load()
    parts = [_heading(service), _HOW]
    for name in documented(service):
        parts += [f"## Operations of {name}\n\n{introduction(name)}\n"]
        parts += [_operation(operation) for operation in operations(name)]
    parts += ["## Events\n", *(_event(e) for name in documented(service) for e in events(name))]
    parts += ["## Messages\n", *(_message(name, schema) for name, schema in _shapes(service).items())]
    parts += ["## Problems\n", _problems(service)]
    return "\n".join(parts)


def _heading(service: str) -> str:
    title = "Polis" if service == "gateway" else f"Polis: {service}"
    return f"# {title}\n\n> {' '.join(introduction(service).split())}\n"


def _link(operation: Operation) -> str:
    path = f"{PREFIX}{operation.path}"
    pointer = path.replace("~", "~0").replace("/", "~1").replace("{", "%7B").replace("}", "%7D")
    url = f"/docs/openapi.json#/paths/{pointer}/{(operation.verb or '').lower()}"
    return f"- [{operation.name}]({url}): `{operation.verb} {path}`. {summary(operation.request)}"


def _operation(operation: Operation) -> str:
    lines = [f"### {operation.name}\n", _address(operation), ""]
    lines += [f"{summary(operation.request)} {description(operation.request)}".strip(), ""]
    lines += _fields(operation)
    lines += [f"Answers {_answer(operation)}.", ""]
    if operation.problems:
        lines += ["Refused with:", *(f"- {p.status} `{p.type}`: {p.title}" for p in operation.problems), ""]
    if operation.path is not None:
        lines += ["```sh", _curl(operation), "```", ""]
    return "\n".join(lines)


def _address(operation: Operation) -> str:
    parts = [] if operation.path is None else [f"`{operation.verb} {PREFIX}{operation.path}`"]
    if not operation.local:
        parts.append(f"NATS `{operation.subject}`")
    parts.append(f"scope `{operation.scope}`")
    if operation.scope == INTERNAL:
        callers = "every service" if EVERY_SERVICE in operation.callers else ", ".join(operation.callers)
        parts.append(f"called by {callers}")
    if operation.idempotent:
        parts.append("takes `Idempotency-Key`")
    return " · ".join(parts)


def _answer(operation: Operation) -> str:
    if operation.answer is None:
        return "nothing"
    if operation.answer is bytes:
        return "the bytes as a stream"
    (schema,), _ = components([operation.answer], "{name}")
    return ("a stream of " if operation.streams else "") + _type(schema)


def _fields(operation: Operation) -> list[str]:
    _, named = components([operation.request], "{name}")
    schema = named[operation.request.__name__]
    path, query, _ = places(operation)
    lines = []
    for name in schema["properties"]:
        place = "path" if name in path else "query" if name in query else "body"
        place = "the raw body" if name == operation.raw_body else place
        lines.append(_field(name, schema, place if operation.path is not None else ""))
    return [*lines, ""] if lines else []


def _field(name: str, schema: Json, place: str = "") -> str:
    field = schema["properties"][name]
    facts = [fact for fact in (place, "required" if name in schema["required"] else "") if fact]
    if "default" in field and field["default"] is not None:
        facts.append(f"default `{json.dumps(field['default'])}`")
    told = f": {text}" if (text := _told(field)) else ""
    return f"- `{name}` {_type(field)}" + (f" ({', '.join(facts)})" if facts else "") + told


def _told(field: Json) -> str:
    inner: Json = next((option for option in field.get("anyOf", []) if "description" in option), {})
    text: str = field.get("description") or inner.get("description", "")
    return " ".join(text.split())


def _type(schema: Json) -> str:
    """A schema in words: `integer 1..200`, `list of Run`, `"a" | "b"`."""
    if "$ref" in schema:
        return str(schema["$ref"])
    if "anyOf" in schema:
        return " or ".join(_type(option) for option in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        return " | ".join(json.dumps(value) for value in schema.get("enum", [schema.get("const")]))
    inner = schema.get("items", schema.get("additionalProperties"))
    if isinstance(inner, dict):
        return f"{'list' if 'items' in schema else 'object'} of {_type(inner)}"
    return f"{schema['type']}{_bounds(schema)}" if "type" in schema else "any JSON"


def _bounds(schema: Json) -> str:
    kind = schema.get("format") or ("base64" if "contentEncoding" in schema else "")
    low = schema.get("minimum", schema.get("exclusiveMinimum", schema.get("minLength")))
    high = schema.get("maximum", schema.get("maxLength"))
    span = (
        ""
        if low is None and high is None
        else f"{'' if low is None else low}..{'' if high is None else high}"
    )
    return "".join(f" {part}" for part in (kind, span) if part)


def _curl(operation: Operation) -> str:
    path, query, body = places(operation)
    values: Json = example(operation.request, full=False)
    url = f"{PREFIX}{operation.path}"
    for name in path:
        url = url.replace(f"{{{name}}}", str(values[name]))
    given = "&".join(f"{name}={values[name]}" for name in query if name in values)
    words = ["curl", "-X", operation.verb or "", f'"$POLIS{url}{"?" + given if given else ""}"']
    if operation.scope != "public":
        words.append('-H "Authorization: Bearer $TOKEN"')
    if shown := {name: values[name] for name in body if name in values}:
        words += ["-H 'Content-Type: application/json'", "-d", shlex.quote(json.dumps(shown))]
    if operation.raw_body is not None:
        words.append("--data-binary @file")
    return " ".join(words)


def _event(event: Any) -> str:
    _, named = components([event.event], "{name}")
    schema = named[event.event.__name__]
    subject = f"event.{event.service}.{event.fact}.<org_id>.<{event.entity}>"
    heard = f" Heard by {', '.join(event.listeners)}." if event.listeners else ""
    lines = [f"### {event.fact}\n", f"NATS `{subject}`\n", f"{summary(event.event)}{heard}\n"]
    return "\n".join([*lines, *(_field(name, schema) for name in schema["properties"]), ""])


def _shapes(service: str) -> Json:
    """What is neither request, event nor problem: it is told where it is declared, by name."""
    told = {o.request for o in operations()} | {e.event for e in events()} | set(problems())
    kinds = [cls for name in documented(service) for cls in messages(name) if cls not in told]
    answers = [
        o.answer for name in documented(service) for o in operations(name) if o.answer not in (None, bytes)
    ]
    _, named = components([*kinds, *answers], "{name}")
    return named


def _message(name: str, schema: Json) -> str:
    told = " ".join(schema.get("description", "").split())
    lines = [f"### {name}\n", f"{told}\n", *(_field(field, schema) for field in schema["properties"]), ""]
    return "\n".join(lines)


def _problems(service: str) -> str:
    names = documented(service)
    shown = {p for name in names for o in operations(name) for p in o.problems} | set(MESH_PROBLEMS)
    lines = []
    for problem in sorted(shown, key=lambda p: p.type):
        own = [f"`{field}`" for field in problem.__struct_fields__]
        facts = f" Names {', '.join(own)}." if own else ""
        again = " The same call may succeed later." if problem.retryable else ""
        lines.append(f"- {problem.status} `{problem.type}`: {problem.title}{facts}{again}")
    return "\n".join(lines) + "\n"
