"""The component `text.regex`: RE2, whose patterns take linear time whatever the pattern and the text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import Struct

from polis.graph.formats.pattern import pattern
from polis.runtime.component import Inputs, Step, StepFailed, component
from polis.runtime.components.text.given import MAX_CHARS, the_text
from polis.runtime.components.worker import off_loop

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_MATCHES = 10_000
Found = dict[str, object]


class Config(Struct, frozen=True):
    """A pattern and what is done where it matches."""

    pattern: str
    op: Literal["test", "find", "find_all", "replace", "split"] = "find"
    replacement: str = ""
    ignore_case: bool = False
    multiline: bool = False
    dot_all: bool = False
    max_matches: int = MAX_MATCHES


@component("text.regex")
async def regex(step: Step, inputs: Inputs) -> None:
    config, text = msgspec.convert(step.config, Config), the_text(inputs)
    result = await off_loop(_OPS[config.op], _compiled(config), config, text)
    step.emit("out", result)


def _compiled(config: Config) -> Any:
    flags = "i" * config.ignore_case + "m" * config.multiline + "s" * config.dot_all
    return pattern(config.pattern, flags)


def _matches(pattern: Any, config: Config, text: str) -> Iterator[Any]:
    for count, match in enumerate(pattern.finditer(text)):
        if count == config.max_matches:
            raise StepFailed("regex.too_many", f"more than {config.max_matches:,} matches (max_matches)")
        yield match


def _told(match: Any) -> Found:
    return {
        "text": match.group(),
        "start": match.start(),
        "end": match.end(),
        "groups": list(match.groups()),
        "named": dict(match.groupdict()),
    }


def _test(pattern: Any, _: Config, text: str) -> object:
    return pattern.search(text) is not None


def _find(pattern: Any, _: Config, text: str) -> object:
    match = pattern.search(text)
    return None if match is None else _told(match)


def _find_all(pattern: Any, config: Config, text: str) -> object:
    return [_told(match) for match in _matches(pattern, config, text)]


def _split(pattern: Any, config: Config, text: str) -> object:
    parts, at = [], 0
    for match in _matches(pattern, config, text):
        if match.end() > match.start():
            parts.append(text[at : match.start()])
            at = match.end()
    return [*parts, text[at:]]


def _replace(pattern: Any, config: Config, text: str) -> object:
    parts, at, size = [], 0, 0
    for match in _matches(pattern, config, text):
        piece = text[at : match.start()] + match.expand(config.replacement)
        parts.append(piece)
        at, size = match.end(), size + len(piece)
        if size > MAX_CHARS:
            raise StepFailed("regex.too_large", f"the text grows over {MAX_CHARS:,} characters")
    return "".join([*parts, text[at:]])


_OPS: Mapping[str, Callable[[Any, Config, str], object]] = {
    "test": _test,
    "find": _find,
    "find_all": _find_all,
    "replace": _replace,
    "split": _split,
}
