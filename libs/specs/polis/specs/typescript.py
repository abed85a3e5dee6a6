"""What the JavaScript client is made from: a table of all routes, and TypeScript types of every message that they carry."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from polis.proto.contract import operations, problems
from polis.proto.live import TOPICS
from polis.proto.problems import MESH_PROBLEMS
from polis.proto.registry import SERVICES, load
from polis.specs.schemas import Json, components, summary

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from polis.proto import Operation
    from polis.proto.live import TopicKind

_MADE = "// Rendered from the contract by `make specs`.\n"
_PLAIN = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}
_OF_PROBLEMS = ("detail", "instance")
_BINARY = "Blob | ArrayBuffer | Uint8Array | string"


def table() -> str:
    """A module of JavaScript: where in HTTP each operation stands, by the name of its request."""
    rows = [f"  {o.request.__name__}: {{ {_row(o)} }},\n" for o in _routed()]
    return f"{_MADE}\nexport const operations = {{\n{''.join(rows)}}};\n"


def types() -> str:
    """Declarations of TypeScript: a type for each message, and which operation takes and gives which."""
    routed = _routed()
    requests = [o.request for o in routed]
    answers = [o.answer for o in routed if o.answer not in (None, bytes)]
    live = [kind for topic in TOPICS for kind in (topic.snapshot, *topic.changes)]
    refusals = sorted({*problems(), *MESH_PROBLEMS}, key=lambda p: p.__name__)
    schemas, named = components([*requests, *answers, *live, *refusals], "{name}")
    of_answers = dict(zip(map(id, answers), schemas[len(requests) :], strict=False))
    raw = {o.request.__name__: o.raw_body for o in routed if o.raw_body}
    optional = _reachable(named, [cls.__name__ for cls in requests]) | _omitting()
    parts = [
        _MADE,
        *(_declared(name, s, raw.get(name), lax=name in optional) for name, s in named.items()),
        _signatures("Operations", (o for o in routed if not o.streams), of_answers),
        _signatures("Streams", (o for o in routed if o.streams), of_answers),
        _socket(o for o in routed if o.on_socket),
        _topics(),
        "export type AnyProblem =\n" + "\n".join(f"  | {p.__name__}" for p in refusals) + ";\n",
    ]
    return "\n".join(parts)


def _routed() -> list[Operation]:
    load()
    return sorted(
        (o for entry in SERVICES for o in operations(entry.name) if o.path), key=lambda o: o.request.__name__
    )


def _row(operation: Operation) -> str:
    cells = [f'method: "{operation.verb}"', f'path: "{operation.path}"']
    if operation.idempotent:
        cells.append("idempotent: true")
    if operation.on_socket:
        cells.append("socket: true")
    if operation.raw_body:
        cells.append(f'raw: "{operation.raw_body}"')
    if operation.streams or operation.answer is bytes:
        cells.append(f'answer: "{"bytes" if operation.answer is bytes else "lines"}"')
    return ", ".join(cells)


def _reachable(named: Json, names: Iterable[str]) -> set[str]:
    """Whatever these schemas are made of: what has a default there may be left out."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _references(named[name])
    return found


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(ref := schema.get("$ref"), str):
            yield ref
        for value in schema.values():
            yield from _references(value)
    elif isinstance(schema, list | tuple):
        for item in schema:
            yield from _references(item)


def _omitting(cls: type[Struct] = Struct) -> set[str]:
    """The messages that leave out what has its default, in answers too."""
    own = (
        {cls.__name__}
        if cls.__module__.startswith("polis.proto") and cls.__struct_config__.omit_defaults
        else set()
    )
    return own.union(*(_omitting(below) for below in cls.__subclasses__()))


def _declared(name: str, schema: Json, raw: str | None, *, lax: bool) -> str:
    told = _comment(schema.get("description", ""), "")
    if schema.get("type") != "object" or "properties" not in schema:
        return f"{told}export type {name} = {_type(schema)};\n"
    required = schema.get("required", [])
    lines = []
    for key, value in schema["properties"].items():
        may_miss = key not in required and (lax or key in _OF_PROBLEMS)
        mark = "?" if may_miss else ""
        kind = _BINARY if key == raw else _type(value)
        lines.append(f"{_comment(value.get('description', ''), '  ')}  {_key(key)}{mark}: {kind};\n")
    return f"{told}export interface {name} {{\n{''.join(lines)}}}\n"


def _type(schema: Any) -> str:
    if isinstance(ref := schema.get("$ref"), str):
        return ref
    if "const" in schema:
        return json.dumps(schema["const"])
    if values := schema.get("enum"):
        return " | ".join(json.dumps(value) for value in values)
    if members := schema.get("anyOf") or schema.get("oneOf"):
        return " | ".join(dict.fromkeys(_type(member) for member in members))
    made = {"array": _array, "object": _object}.get(schema.get("type", ""))
    return made(schema) if made else _PLAIN.get(schema.get("type", ""), "unknown")


def _array(schema: Json) -> str:
    if prefix := schema.get("prefixItems"):
        return f"[{', '.join(_type(item) for item in prefix)}]"
    item = _type(schema.get("items", {}))
    return f"({item})[]" if "|" in item else f"{item}[]"


def _object(schema: Json) -> str:
    if properties := schema.get("properties"):
        required = schema.get("required", [])
        fields = [f"{_key(k)}{'' if k in required else '?'}: {_type(v)}" for k, v in properties.items()]
        return f"{{ {'; '.join(fields)} }}"
    return f"{{ [name: string]: {_type(schema.get('additionalProperties', {}))} }}"


def _key(name: str) -> str:
    return name if name.isidentifier() else json.dumps(name)


def _comment(text: str, indent: str) -> str:
    words = " ".join(text.split()).replace("*/", "* /")
    return f"{indent}/** {words} */\n" if words else ""


def _signatures(name: str, found: Iterable[Operation], answers: dict[int, Json]) -> str:
    lines = [
        f"{_comment(summary(o.request), '  ')}"
        f"  {o.request.__name__}: {{ request: {o.request.__name__}; answer: {_answer(o, answers)} }};\n"
        for o in found
    ]
    return f"export interface {name} {{\n{''.join(lines)}}}\n"


def _answer(operation: Operation, answers: dict[int, Json]) -> str:
    if operation.answer is None:
        return "null"
    return "Uint8Array" if operation.answer is bytes else _type(answers[id(operation.answer)])


def _socket(found: Iterable[Operation]) -> str:
    names = "\n".join(f'  | "{o.request.__name__}"' for o in found)
    return f"/** What may be called over the live socket, too. */\nexport type OnSocket =\n{names};\n"


def _topics() -> str:
    lines = [
        f"  {_topic(topic)}: {{ snapshot: {topic.snapshot.__name__}; change: {_either(topic.changes)} }};\n"
        for topic in TOPICS
    ]
    return f"export interface Topics {{\n{''.join(lines)}}}\n"


def _either(kinds: Iterable[type]) -> str:
    return " | ".join(kind.__name__ for kind in kinds)


def _topic(topic: TopicKind) -> str:
    """As a key: of one thing by its id, or by its name."""
    return f"[topic: `{topic.kind}/${{string}}`]" if "/" in topic.name else f'"{topic.name}"'
