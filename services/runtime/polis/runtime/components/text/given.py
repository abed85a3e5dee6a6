"""What text components are given: a text within their bound."""

from __future__ import annotations

from polis.runtime.component import Inputs, StepFailed

MAX_CHARS = 4_000_000
"""Characters of a text that a component reads."""
MAX_DEPTH = 64
"""Levels of what is parsed."""
MAX_VALUES = 200_000
"""Values, elements and fields of what is parsed."""


def the_text(inputs: Inputs, port: str = "in") -> str:
    """The text at a port; StepFailed for what is none, or too long."""
    text = inputs[port]
    if not isinstance(text, str):
        raise StepFailed("text.none", f"`{port}` takes a text, not {type(text).__name__}")
    if len(text) > MAX_CHARS:
        raise StepFailed("text.too_long", f"a text of {len(text):,} characters; {MAX_CHARS:,} are the most")
    return text


class Budget:
    """How many values may come of one text."""

    def __init__(self, kind: str, most: int = MAX_VALUES) -> None:
        self._kind = kind
        self._left = self._most = most

    def spend(self, depth: int = 0, count: int = 1) -> None:
        """StepFailed when there are more values than the bound, or they lie too deep."""
        self._left -= count
        if self._left < 0:
            raise StepFailed(f"{self._kind}.too_large", f"it holds more than {self._most:,} values")
        if depth > MAX_DEPTH:
            raise StepFailed(f"{self._kind}.too_deep", f"nested deeper than {MAX_DEPTH} levels")
