"""CEL: the one language of conditions and small computations in a graph. Compiled once per text, bounded, never trusted.

What is wrong with an expression is a StepFailed: a CEL error value, a spent iteration budget, or a result that is not JSON.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from cel_expr_python import cel

from polis.graph.faults import Malformed
from polis.graph.formats.cel import Variables, program, without_texts
from polis.runtime.component import StepFailed

MAX_RESULT = 4_000_000
"""Characters and values of a result, together."""
MAX_DEPTH = 32
MOST_MAPPED = 2_000
"""Items of a list that `map` and `filter` are called on: CEL copies what they have made with each, some ten million by then."""
COMPILED = 1_024

_MAPPED = re.compile(r"(?:(?<![\w.])([A-Za-z_][\w.]*))?\.(?:map|filter)\((\w*)")


class Expression:
    """A compiled expression; `value` evaluates it to plain JSON."""

    def __init__(self, source: str, variables: Variables) -> None:
        try:
            self._program = program(source, variables)
        except Malformed as error:
            raise StepFailed("expression.invalid", str(error)) from None
        self._mapped = _mapped(source)

    def value(self, variables: Mapping[str, object]) -> object:
        """Evaluate; raises StepFailed when the result is an error or cannot be JSON."""
        if self._mapped and (most := _longest(self._mapped, variables)) > MOST_MAPPED:
            detail = f"`map` and `filter` take {MOST_MAPPED:,} items at the most, not {most:,}: components like `each` take more"
            raise StepFailed("expression.too_large", detail)
        try:
            result = self._program.eval(data=variables)
            return _Plain().of(result, depth=0)
        except RuntimeError as error:
            raise StepFailed("expression.failed", _evaluator_said(str(error))) from None

    def holds(self, variables: Mapping[str, object]) -> bool:
        """Evaluate a condition; anything but true and false is an error."""
        answer = self.value(variables)
        if not isinstance(answer, bool):
            raise StepFailed("expression.not_bool", f"a condition is true or false, not {_named(answer)}")
        return answer


@lru_cache(maxsize=COMPILED)
def compiled(source: str, variables: Variables = ("item",)) -> Expression:
    """The expression of a text; raises StepFailed `expression.invalid` with line and column."""
    return Expression(source, variables)


def _mapped(source: str) -> frozenset[str]:
    """What an expression calls `map` and `filter` on: paths of its variables, and nothing for whatever else it may be."""
    found = _MAPPED.findall("".join(without_texts(source).split()))
    bound = {name for _, name in found}
    return frozenset("" if path.partition(".")[0] in bound else path for path, _ in found)


def _longest(mapped: frozenset[str], variables: Mapping[str, object]) -> int:
    """The items of the longest list that they are called on, or may be."""
    if "" in mapped:
        return _longest_in(variables)
    return max(_items(_at(path, variables)) for path in mapped)


def _at(path: str, variables: Mapping[str, object]) -> object:
    value: object = variables
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _longest_in(value: object) -> int:
    todo, longest = [value], 0
    while todo:
        inner = todo.pop()
        longest = max(longest, _items(inner))
        if isinstance(inner, Mapping):
            todo += inner.values()
        elif isinstance(inner, list):
            todo += inner
    return longest


def _items(value: object) -> int:
    return len(value) if isinstance(value, list | Mapping) else 0


def _evaluator_said(message: str) -> str:
    if "budget exceeded" in message:
        return "the expression takes too many iterations"
    return message


def _named(value: object) -> str:
    names = {
        type(None): "null",
        str: "a string",
        int: "a number",
        float: "a number",
        list: "a list",
        dict: "an object",
    }
    return names.get(type(value), type(value).__name__)


class _Plain:
    """Turns a CEL value into JSON with a budget: shared parts of a result are small in CEL and huge written out."""

    def __init__(self) -> None:
        self._left = MAX_RESULT

    def of(self, value: cel.Value, *, depth: int) -> object:
        if depth > MAX_DEPTH:
            raise StepFailed("expression.too_large", f"the result is nested deeper than {MAX_DEPTH} levels")
        if value.type() == cel.Type.ERROR:
            raise StepFailed("expression.failed", str(value.plain_value()))
        plain = value.value()
        self._spend(len(plain) + 1 if isinstance(plain, str) else 1)
        if isinstance(plain, list):
            return [self.of(item, depth=depth + 1) for item in plain]
        if isinstance(plain, dict):
            return self._object(plain, depth)
        return _scalar(plain)

    def _object(self, plain: dict[object, cel.Value], depth: int) -> dict[str, object]:
        """Keys are sorted: CEL keeps none order, and equal results must be equal bytes."""
        for key in plain:
            if not isinstance(key, str):
                raise StepFailed("expression.not_json", f"keys of an object are strings, not {_named(key)}")
            self._spend(len(key))
        texts = sorted(key for key in plain if isinstance(key, str))
        return {key: self.of(plain[key], depth=depth + 1) for key in texts}

    def _spend(self, amount: int) -> None:
        self._left -= amount
        if self._left < 0:
            raise StepFailed(
                "expression.too_large", f"the result is over {MAX_RESULT:,} characters and values"
            )


def _scalar(plain: object) -> object:
    """CEL's own mapping to JSON: timestamps and durations are strings (`2026-03-02T09:00:00Z`, `90s`)."""
    match plain:
        case None | bool() | int() | str():
            return plain
        case float() if math.isfinite(plain):
            return plain
        case datetime():
            return plain.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case timedelta():
            return f"{plain.total_seconds():g}s"
    raise StepFailed("expression.not_json", f"the result has no form in JSON: {plain!r:.80}")
