"""A bounded renderer of Mustache (mustache(5)) without partials, lambdas and changed delimiters.

Templates and data come from users, so: names reach into JSON objects only, never into attributes; nothing is called;
output and steps have bounds. Added from Handlebars: `@index`, `@first` and `@last` inside a list's section.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

import msgspec
from msgspec import Struct

from polis.runtime.component import StepFailed

MAX_TEMPLATE = 100_000
"""Characters of a template."""
MAX_OUTPUT = 2_000_000
"""Characters of a result."""
MAX_STEPS = 500_000
"""Tags carried out in one rendering: sections in sections multiply."""
MAX_NESTING = 20
PARSED = 64

_TAG = re.compile(r"\{\{\{(?P<raw>[^{}]*)\}\}\}|\{\{(?P<kind>[#^/&!>=])?(?P<name>[^{}]*)\}\}")
_ALONE = re.compile(r"^[ \t]*(?P<tag>\{\{[#^/!][^{}]*\}\})[ \t]*(?:\r?\n|\Z)", re.MULTILINE)
_PATH = re.compile(r"^(?:\.|@(?:index|first|last)|[\w-]+(?:\.[\w-]+)*)$")
_MISSING = object()

Escape = Callable[[str], str]


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
    """The parts of a template; raises StepFailed `template.invalid` that names the tag."""
    if len(template) > MAX_TEMPLATE:
        raise StepFailed("template.invalid", f"a template has at most {MAX_TEMPLATE:,} characters")
    return _Parser(_ALONE.sub(r"\g<tag>", template)).parts()


def render(template: str, data: object, escape: Escape) -> str:
    """The text of a template and its data; raises StepFailed when it grows over its bounds."""
    rendering = _Rendering(escape)
    rendering.of(parsed(template), (data,))
    return "".join(rendering.written)


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
            raise _fault(f"section {self._open[-1][0]!r} is not closed")
        return tuple(self._bodies[0])

    def _text(self, text: str) -> None:
        if "{{" in text:
            raise _fault(f"a tag is not complete: {text[text.index('{{') :][:40]!r}")
        if text:
            self._bodies[-1].append(Text(text))

    def _tag(self, tag: re.Match[str]) -> None:
        kind, name = tag["kind"] or "", (tag["raw"] or tag["name"] or "").strip()
        if kind == "!":
            return
        if kind in (">", "="):
            raise _fault(f"{tag[0]:.60}: there are no partials and no other delimiters")
        if not _PATH.match(name):
            raise _fault(f"{tag[0]:.60} is not a name of letters, digits, - and _")
        if kind == "/":
            self._close(name)
        elif kind in ("#", "^"):
            self._begin(name, inverted=kind == "^")
        else:
            self._bodies[-1].append(Variable(name, raw=bool(tag["raw"]) or kind == "&"))

    def _begin(self, name: str, *, inverted: bool) -> None:
        if len(self._open) >= MAX_NESTING:
            raise _fault(f"sections are nested deeper than {MAX_NESTING} levels")
        self._open.append((name, inverted))
        self._bodies.append([])

    def _close(self, name: str) -> None:
        if not self._open or self._open[-1][0] != name:
            raise _fault(f"section {name!r} is closed but not open")
        _, inverted = self._open.pop()
        body = tuple(self._bodies.pop())
        self._bodies[-1].append(Section(name, inverted, body))


def _fault(detail: str) -> StepFailed:
    return StepFailed("template.invalid", detail)


class _Rendering:
    def __init__(self, escape: Escape) -> None:
        self.written: list[str] = []
        self._escape = escape
        self._characters = 0
        self._steps = 0

    def of(self, parts: tuple[Part, ...], contexts: tuple[object, ...]) -> None:
        for part in parts:
            self._step()
            if isinstance(part, Text):
                self._write(part.text)
            elif isinstance(part, Variable):
                text = _text(_lookup(part.path, contexts))
                self._write(text if part.raw else self._escape(text))
            else:
                self._section(part, contexts)

    def _section(self, section: Section, contexts: tuple[object, ...]) -> None:
        value = _lookup(section.path, contexts)
        nothing = value is _MISSING or not value
        if section.inverted or nothing:
            if section.inverted and nothing:
                self.of(section.body, contexts)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                place = {"@index": index, "@first": index == 0, "@last": index == len(value) - 1}
                self.of(section.body, (*contexts, place, item))
        else:
            self.of(section.body, (*contexts, value))

    def _write(self, text: str) -> None:
        self._characters += len(text)
        if self._characters > MAX_OUTPUT:
            raise StepFailed("template.too_large", f"the text is over {MAX_OUTPUT:,} characters")
        self.written.append(text)

    def _step(self) -> None:
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise StepFailed("template.too_large", f"the template takes over {MAX_STEPS:,} steps")


def _lookup(path: str, contexts: tuple[object, ...]) -> object:
    """The first name is sought from the innermost context outwards; the names behind it only inside what was found."""
    if path == ".":
        return contexts[-1]
    first, *rest = path.split(".")
    value: object = next(
        (
            context[first]
            for context in reversed(contexts)
            if isinstance(context, Mapping) and first in context
        ),
        _MISSING,
    )
    for name in rest:
        value = value.get(name, _MISSING) if isinstance(value, Mapping) else _MISSING
    return value


def _text(value: object) -> str:
    if value is _MISSING or value is None:
        return ""
    if isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()
