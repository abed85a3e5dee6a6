"""A page of the built-in components from their manifests: ports, configuration, effects, limits and examples of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec

from polis.graph import builtin

if TYPE_CHECKING:
    from polis.proto.graph import Component, Example, Most, Port

_BOUNDS = {
    "minimum": ">= {}",
    "maximum": "<= {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {}",
    "maxItems": "at most {}",
    "minProperties": "at least {}",
    "maxProperties": "at most {}",
    "default": "default {}",
}


def components() -> str:
    """The page, in Markdown."""
    found = builtin.components()
    parts = [
        "# Built-in components\n\nRendered from `libs/graph/polis/graph/builtin/components` by `make specs`.\n",
        *(_section(component) for component in found.values()),
    ]
    return "\n".join(parts)


def _section(component: Component) -> str:
    lines = [f"## {component.key}", "", component.description, "", *_facts(component), ""]
    lines += _table(
        ("port", "", "what"), [*_ports("in", component.inputs), *_ports("out", component.outputs)]
    )
    fields = component.config.get("properties")
    if isinstance(fields, dict):
        required = component.config.get("required")
        known = required if isinstance(required, list) else []
        rows = [
            (f"`{name}`", _kind(field, must=name in known), _said(field)) for name, field in fields.items()
        ]
        lines += _table(("configuration", "", "what"), rows)
    lines += _table(("limit", ""), [(name, _limit(limit)) for name, limit in component.limits.items()])
    for example in component.examples:
        lines += _example(component.key, example)
    return "\n".join(lines)


def _facts(component: Component) -> list[str]:
    facts = ["pure" if component.pure else f"effects: {', '.join(component.effects)}"]
    if component.merge == "all":
        facts.append("takes one message of each input together")
    if component.collects:
        facts.append("sees its whole stream")
    if component.scopes:
        facts.append(f"wants {', '.join(f'`{scope}`' for scope in component.scopes)}")
    return [f"*{'; '.join(facts)}*"]


def _ports(side: str, ports: Mapping[str, Port]) -> list[tuple[str, str, str]]:
    return [
        (f"{side} `{name}`", _kind(port.schema, must=side == "in" and port.required), port.description)
        for name, port in ports.items()
    ]


def _kind(schema: object, *, must: bool) -> str:
    if not isinstance(schema, dict):
        return ""
    kind = schema.get("type")
    parts = ["required"] if must else []
    if isinstance(kind, str):
        parts.append(kind)
    elif isinstance(kind, list):
        parts.append(" or ".join(map(str, kind)))
    if isinstance(values := schema.get("enum"), list):
        parts.append(", ".join(f"`{value}`" for value in values))
    parts += [text.format(_short(schema[bound])) for bound, text in _BOUNDS.items() if bound in schema]
    return "; ".join(parts)


def _said(schema: object) -> str:
    return str(schema.get("description", "")) if isinstance(schema, dict) else ""


def _short(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else f"`{value}`"


def _limit(limit: Most) -> str:
    own = f", or fewer by `{limit.config}`" if limit.config else ""
    return f"{limit.most:,.0f} {limit.unit}{own}"


def _example(key: str, example: Example) -> list[str]:
    shown: dict[str, object] = {"component": key}
    if example.config:
        shown["config"] = example.config
    lines = [f"{example.title}:", "", "```json", _json(shown), "```", ""]
    if example.output:
        given = [next(iter(each.values())) if len(each) == 1 else each for each in example.input]
        lines += ["```", *(f"in   {_line(value)}" for value in given)]
        lines += [f"{port:<4} {_line(value)}" for port, values in example.output.items() for value in values]
        lines += ["```", ""]
    return lines


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def _line(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    told = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *told, ""] if told else []
