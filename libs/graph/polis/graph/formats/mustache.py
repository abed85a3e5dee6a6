"""Mustache (mustache(5)) without partials, lambdas and changed delimiters: a template, and the parts that it has.

Added from Handlebars: `@index`, `@first` and `@last` inside a list's section.
"""

from __future__ import annotations

import re
from functools import lru_cache

from msgspec import Struct

from polis.graph.faults import Malformed

MAX_TEMPLATE = 100_000
"""Characters of a template."""
MAX_NESTING = 20
PARSED = 64

_TAG = re.compile(r"\{\{\{(?P<raw>[^{}]*)\}\}\}|\{\{(?P<kind>[#^/&!>=])?(?P<name>[^{}]*)\}\}")
_ALONE = re.compile(r"^[ \t]*(?P<tag>\{\{[#^/!][^{}]*\}\})[ \t]*(?:\r?\n|\Z)", re.MULTILINE)
_PATH = re.compile(r"^(?:\.|@(?:index|first|last)|[\w-]+(?:\.[\w-]+)*)$")


class Text(Struct, frozen=True):
    """Characters that stand as they are."""

    text: str


class Variable(Struct, frozen=True):
    """`{{name}}`, or `{{{name}}}` for one that is not escaped."""

    path: str
    raw: bool


class Section(Struct, frozen=True):
    """`{{#name}}...{{/name}}`, or `{{^name}}` for when there is nothing."""

    path: str
    inverted: bool
    body: tuple[Part, ...]


Part = Text | Variable | Section


@lru_cache(maxsize=PARSED)
def parsed(template: str) -> tuple[Part, ...]:
    """The parts of a template; Malformed names the tag."""
    if len(template) > MAX_TEMPLATE:
        raise Malformed(f"a template has at most {MAX_TEMPLATE:,} characters")
    return _Parser(_ALONE.sub(r"\g<tag>", template)).parts()


class _Parser:
    def __init__(self, template: str) -> None:
        self._template = template
        self._open: list[tuple[str, bool]] = []
        self._bodies: list[list[Part]] = [[]]

    def parts(self) -> tuple[Part, ...]:
        at = 0
        for tag in _TAG.finditer(self._template):
            self._text(self._template[at : tag.start()])
            self._tag(tag)
            at = tag.end()
        self._text(self._template[at:])
        if self._open:
            raise Malformed(f"section {self._open[-1][0]!r} is not closed")
        return tuple(self._bodies[0])

    def _text(self, text: str) -> None:
        if "{{" in text:
            raise Malformed(f"a tag is not complete: {text[text.index('{{') :][:40]!r}")
        if text:
            self._bodies[-1].append(Text(text))

    def _tag(self, tag: re.Match[str]) -> None:
        kind, name = tag["kind"] or "", (tag["raw"] or tag["name"] or "").strip()
        if kind == "!":
            return
        if kind in (">", "="):
            raise Malformed(f"{tag[0]:.60}: there are no partials and no other delimiters")
        if not _PATH.match(name):
            raise Malformed(f"{tag[0]:.60} is not a name of letters, digits, - and _")
        if kind == "/":
            self._close(name)
        elif kind in ("#", "^"):
            self._begin(name, inverted=kind == "^")
        else:
            self._bodies[-1].append(Variable(name, raw=bool(tag["raw"]) or kind == "&"))

    def _begin(self, name: str, *, inverted: bool) -> None:
        if len(self._open) >= MAX_NESTING:
            raise Malformed(f"sections are nested deeper than {MAX_NESTING} levels")
        self._open.append((name, inverted))
        self._bodies.append([])

    def _close(self, name: str) -> None:
        if not self._open or self._open[-1][0] != name:
            raise Malformed(f"section {name!r} is closed but not open")
        _, inverted = self._open.pop()
        body = tuple(self._bodies.pop())
        self._bodies[-1].append(Section(name, inverted, body))
