"""A bounded renderer of Mustache; what a template is stands in `polis.graph.formats.mustache`.

Templates and data come from users, so: names reach into JSON objects only, never into attributes; nothing is called;
output and steps have bounds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from polis.graph.faults import Malformed
from polis.graph.formats.mustache import Part, Section, Text, Variable, parsed
from polis.runtime.component import StepFailed

MAX_OUTPUT = 2_000_000
"""Characters of a result."""
MAX_STEPS = 500_000
"""Tags carried out in one rendering: sections in sections multiply."""
_MISSING = object()

Escape = Callable[[str], str]


def render(template: str, data: object, escape: Escape) -> str:
    """The text of a template and its data; raises StepFailed when it grows over its bounds."""
    rendering = _Rendering(escape)
    try:
        rendering.of(parsed(template), (data,))
    except Malformed as error:
        raise StepFailed("template.invalid", str(error)) from None
    return "".join(rendering.written)


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
