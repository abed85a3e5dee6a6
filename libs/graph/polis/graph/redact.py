"""What of a message may be shown where runs are looked at: by the data classes that schemas state as `x-data-class`.

`public` and `internal` are shown; every other class is not, known or unknown. What is named like a secret never is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

KEYWORD = "x-data-class"
SHOWN = frozenset({"public", "internal"})
_SECRET = re.compile(
    r"(?:^|[_.-]|(?<=[a-z]))(?:password|passwd|passphrase|secret|token|api[_-]?key|private[_-]?key|authorization|"
    r"credentials?|cookie)s?$",
    re.IGNORECASE,
)
_DEPTH = 64
_COMBINED = ("allOf", "anyOf", "oneOf")

Schema = Mapping[str, object]


def shown(value: object, schemas: Sequence[Schema]) -> object:
    """The value, with a mark in place of each part that a schema keeps back. All of the schemas hold for it."""
    return _shown(value, [(schema, schema) for schema in schemas], _DEPTH)


def hidden_class(schema: Schema) -> str | None:
    """A class anywhere in a schema that is not shown: what is made of such a message may hold it too."""
    return next((name for name in _classes(schema, _DEPTH) if name not in SHOWN), None)


def declared_class(schema: Schema) -> str | None:
    """The class that a schema states for the whole of a message."""
    stated = schema.get(KEYWORD)
    return str(stated) if stated is not None else None


def mark(name: str) -> dict[str, str]:
    """What stands in place of something that is not shown."""
    return {"redacted": name}


Rooted = tuple[Schema, Schema]
"""A schema and the document that its references are of."""


def _shown(value: object, schemas: Sequence[Rooted], depth: int) -> object:
    whole = list(_spread(schemas))
    for schema, _ in whole:
        name = declared_class(schema)
        if name is not None and name not in SHOWN:
            return mark(name)
    if not depth:
        return mark("too deep")
    if isinstance(value, dict):
        return {
            str(key): mark("secret")
            if _SECRET.search(str(key))
            else _shown(item, _member(whole, str(key)), depth - 1)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_shown(item, _item(whole, index), depth - 1) for index, item in enumerate(value)]
    return value


def _spread(schemas: Sequence[Rooted], depth: int = 8) -> Iterator[Rooted]:
    """The schemas with those that they refer to or combine."""
    for schema, root in schemas:
        yield schema, root
        if depth:
            more = [part for name in _COMBINED for part in _list(schema.get(name))]
            more += [schema[name] for name in ("if", "then", "else") if name in schema]
            more += [target] if (target := _target(schema.get("$ref"), root)) is not None else []
            yield from _spread([(part, root) for part in more if isinstance(part, Mapping)], depth - 1)


def _target(reference: object, root: Schema) -> object:
    """What a reference within the document leads to."""
    if not isinstance(reference, str) or not reference.startswith("#"):
        return None
    found: object = root
    for part in reference[1:].split("/")[1:]:
        if not isinstance(found, Mapping):
            return None
        found = found.get(part.replace("~1", "/").replace("~0", "~"))
    return found


def _member(schemas: Sequence[Rooted], key: str) -> list[Rooted]:
    found: list[object] = []
    roots: list[Schema] = []
    for schema, root in schemas:
        properties = schema.get("properties")
        parts = [properties[key]] if isinstance(properties, Mapping) and key in properties else []
        # Which patterns fit is not asked: what one of them keeps back is kept back.
        patterns = schema.get("patternProperties")
        parts += list(patterns.values()) if isinstance(patterns, Mapping) else []
        parts += [] if parts else [schema.get("additionalProperties")]
        found += parts
        roots += [root] * len(parts)
    return [(part, root) for part, root in zip(found, roots, strict=True) if isinstance(part, Mapping)]


def _item(schemas: Sequence[Rooted], index: int) -> list[Rooted]:
    found: list[Rooted] = []
    for schema, root in schemas:
        before = _list(schema.get("prefixItems"))
        parts = [before[index] if index < len(before) else schema.get("items"), schema.get("contains")]
        found += [(part, root) for part in parts if isinstance(part, Mapping)]
    return found


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else ()


def _classes(schema: object, depth: int) -> Iterator[str]:
    if not depth:
        return
    if isinstance(schema, Mapping):
        stated = declared_class(schema)
        if stated is not None:
            yield stated
        for part in schema.values():
            yield from _classes(part, depth - 1)
    elif isinstance(schema, list | tuple):
        for part in schema:
            yield from _classes(part, depth - 1)
