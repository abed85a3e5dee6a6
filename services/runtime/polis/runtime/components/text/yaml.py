"""Components yaml.parse and yaml.write: YAML that is JSON, by the core schema; no tags, no types of a language.

The tree is built here from the parser's events: libraries follow nesting and aliases without a bound.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from polis.runtime.component import Inputs, Step, StepFailed, component
from polis.runtime.components.text.given import MAX_CHARS, MAX_DEPTH, Budget, the_text
from polis.runtime.components.worker import off_loop

if TYPE_CHECKING:
    import yaml

_INT = re.compile(r"[-+]?[0-9]{1,18}$")
_HEX = re.compile(r"0x[0-9a-fA-F]{1,15}$")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$")
_WORDS: dict[str, object] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_CORE = "tag:yaml.org,2002:"
_TAGGED: dict[str, Callable[[str], object]] = {}


@component("yaml.parse")
async def yaml_parse(step: Step, inputs: Inputs) -> None:
    step.emit("out", await off_loop(_parsed, the_text(inputs)))


@component("yaml.write")
async def yaml_write(step: Step, inputs: Inputs) -> None:
    step.emit("out", await off_loop(_written, inputs["in"]))


def _parsed(text: str) -> object:
    import yaml

    try:
        return _Reader(yaml.parse(text, Loader=yaml.CSafeLoader)).document()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise StepFailed(
            "yaml.invalid", f"{where}{getattr(error, 'problem', None) or 'no YAML'}"[:300]
        ) from None


class _Reader:
    """Builds plain values of events, with a budget that copies by aliases are taken from too."""

    def __init__(self, events: Iterator[yaml.Event]) -> None:
        self._events = events
        self._budget = Budget("yaml")
        self._anchors: dict[str, tuple[object, int, int]] = {}
        """What a name stands for, how many values that holds and how deep it is."""

    def document(self) -> object:
        import yaml

        value: object = None
        seen = False
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if seen:
                    raise StepFailed("yaml.several", "there is more than one document")
                seen = True
                value, _, _ = self._node(next(self._events), 1)
        return value

    def _node(self, event: yaml.Event, depth: int) -> tuple[object, int, int]:
        """A value, how many values it holds, and how deep it is."""
        import yaml

        if isinstance(event, yaml.AliasEvent):
            return self._alias(str(event.anchor), depth)
        self._budget.spend(depth)
        _refuse_tag(event)
        anchor = getattr(event, "anchor", None)
        if anchor is not None:
            self._anchors.pop(anchor, None)
        if isinstance(event, yaml.SequenceStartEvent):
            made = self._sequence(depth)
        elif isinstance(event, yaml.MappingStartEvent):
            made = self._mapping(depth)
        else:
            made = _scalar(event), 1, 1
        if anchor is not None:
            self._anchors[anchor] = made
        return made

    def _alias(self, name: str, depth: int) -> tuple[object, int, int]:
        if name not in self._anchors:
            raise StepFailed("yaml.invalid", f"`*{name:.50}` stands for nothing yet")
        value, size, height = self._anchors[name]
        # Shared in memory, but written out wherever it goes: it counts as often as it stands there.
        self._budget.spend(depth + height - 1, size)
        return value, size, height

    def _sequence(self, depth: int) -> tuple[object, int, int]:
        import yaml

        items: list[object] = []
        total, height = 1, 0
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            value, size, inner = self._node(event, depth + 1)
            items.append(value)
            total, height = total + size, max(height, inner)
        return items, total, height + 1

    def _mapping(self, depth: int) -> tuple[object, int, int]:
        import yaml

        fields: dict[str, object] = {}
        total, height = 1, 0
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise StepFailed("yaml.key", "a key is a text")
            key = str(event.value)
            if key in fields:
                raise StepFailed("yaml.key", f"the key `{key:.50}` stands there twice")
            value, size, inner = self._node(next(self._events), depth + 1)
            fields[key] = value
            total, height = total + size + 1, max(height, inner)
        return fields, total, height + 1


def _refuse_tag(event: Any) -> None:
    tag = getattr(event, "tag", None)
    if tag not in (
        None,
        "!",
        *(_CORE + name for name in ("str", "int", "float", "bool", "null", "seq", "map")),
    ):
        raise StepFailed("yaml.tag", f"the tag `{tag:.80}` is not taken")


def _scalar(event: Any) -> object:
    text: str = event.value
    if event.tag in ("!", f"{_CORE}str") or not event.implicit[0]:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INT.match(text):
        return int(text)
    if _HEX.match(text):
        return int(text, 16)
    if _FLOAT.match(text):
        number = float(text)
        return number if math.isfinite(number) else text
    return text


def _written(value: object) -> str:
    import yaml

    _measure(value)
    text = yaml.dump(value, Dumper=_dumper(), allow_unicode=True, sort_keys=False, width=100)
    if len(text) > MAX_CHARS:
        raise StepFailed("yaml.too_large", f"over {MAX_CHARS:,} characters")
    return str(text)


def _dumper() -> type[Any]:
    import yaml

    class Plain(yaml.CSafeDumper):
        """Writes what is in two places twice: an alias is nothing that readers of JSON know."""

        def ignore_aliases(self, _: object) -> bool:
            return True

    return Plain


def _measure(value: object) -> None:
    budget = Budget("yaml")
    waiting = [(value, 1)]
    while waiting:
        place, depth = waiting.pop()
        budget.spend(depth)
        children = place.values() if isinstance(place, dict) else place if isinstance(place, list) else ()
        waiting += [(child, min(depth + 1, MAX_DEPTH + 1)) for child in children]
