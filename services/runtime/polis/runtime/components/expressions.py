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

from polis.proto.problems import Fault
from polis.runtime.component import StepFailed

MAX_CHARS = 4_000
"""Characters of an expression."""
MAX_PLUS = 64
MAX_PLUS_IN_MACRO = 8
"""`[x].map(a, a + a).map(b, b + b)...` doubles with each step and CEL's iteration budget does not see it: with a
macro in the expression, eight additions (a factor of 256 at the most) are allowed."""
MAX_RESULT = 4_000_000
"""Characters and values of a result, together."""
MAX_DEPTH = 32
COMPILED = 1_024

_STRINGS = re.compile(r"'''.*?'''|\"\"\".*?\"\"\"|'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"", re.DOTALL)
_COMMENTS = re.compile(r"//[^\n]*")
_MACRO = re.compile(r"\.\s*(?:map|filter|all|exists|exists_one)\s*\(")
_PLACE = re.compile(r"^(?:INVALID_ARGUMENT: )?(?:ERROR: )?<input>:(\d+):(\d+): ", re.MULTILINE)

Variables = tuple[str, ...]


class Expression:
    """A compiled expression; `value` evaluates it to plain JSON."""

    def __init__(self, source: str, variables: Variables) -> None:
        _refuse_growth(source)
        try:
            self._program = _env(variables).compile(source)
        except RuntimeError as error:
            raise StepFailed("expression.invalid", _compiler_said(str(error))) from None

    def value(self, variables: Mapping[str, object]) -> object:
        """Evaluate; raises StepFailed when the result is an error or cannot be JSON."""
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


def faults(source: str, pointer: str, variables: Variables = ("item",)) -> tuple[Fault, ...]:
    """What is wrong with an expression, as a fault at `pointer`; nothing when it compiles."""
    try:
        compiled(source, variables)
    except StepFailed as failure:
        return (Fault(pointer, str(failure)),)
    return ()


@lru_cache(maxsize=16)
def _env(variables: Variables) -> cel.Env:
    return cel.NewEnv(variables=dict.fromkeys(variables, cel.Type.DYN))


def _refuse_growth(source: str) -> None:
    if len(source) > MAX_CHARS:
        raise StepFailed("expression.invalid", f"an expression has at most {MAX_CHARS} characters")
    code = _COMMENTS.sub("", _STRINGS.sub("''", source))
    limit = MAX_PLUS_IN_MACRO if _MACRO.search(code) else MAX_PLUS
    if code.count("+") > limit:
        raise StepFailed(
            "expression.invalid", f"more than {limit} additions: the result could grow without bound"
        )


def _compiler_said(message: str) -> str:
    """The first complaint of the compiler as `line 1, column 11: ...`, without its drawing."""
    first = message.removesuffix(" [INVALID_ARGUMENT]").split("\n |")[0]
    return _PLACE.sub(lambda at: f"line {at[1]}, column {at[2]}: ", first).strip()


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
