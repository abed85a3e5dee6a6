"""The canonical bytes of a content (RFC 8785) and the SHA-256 that addresses it."""

from __future__ import annotations

import hashlib
import math
from itertools import islice
from typing import TYPE_CHECKING

import rfc8785

from polis.graph.faults import GraphFaults, pointer
from polis.proto.problems import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DEPTH = 64
"""Levels of objects and arrays in a content."""
MAX_KEY = 1000
"""Characters of a key: each stands in the pointer of everything behind it."""
MAX_FAULTS = 200
"""Faults that are looked for: a refusal of a large content stays as small as its first ones."""
_MAX_INT = 2**53 - 1
"""The largest integer that every JSON reader holds exactly (RFC 8785 takes it from I-JSON, RFC 7493)."""
_EXPONENT_FROM = 1e21
"""From here on RFC 8785 writes a number with an exponent."""
_NOT_EXACT = f"integers beyond {_MAX_INT} are not exact in JSON"


def canonical(content: object) -> bytes:
    """The one encoding of a JSON value. GraphFaults names every value that JSON readers would not agree on."""
    faults = tuple(islice(_faults(content, ()), MAX_FAULTS))
    if faults:
        raise GraphFaults(faults)
    return rfc8785.dumps(content)  # type: ignore[arg-type] # _faults has just shown that it is JSON


def digest(content: object) -> str:
    """The SHA-256 of the canonical encoding, in hexadecimal."""
    return hashlib.sha256(canonical(content)).hexdigest()


def _faults(value: object, path: tuple[str | int, ...]) -> Iterator[Fault]:
    if len(path) > MAX_DEPTH:
        yield Fault(pointer(*path), f"nested deeper than {MAX_DEPTH} levels")
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str) or not _is_text(key):
                yield Fault(pointer(*path), "a key is not Unicode text")
            elif len(key) > MAX_KEY:
                yield Fault(pointer(*path), f"a key is longer than {MAX_KEY} characters")
            else:
                yield from _faults(item, (*path, key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _faults(item, (*path, index))
    elif (detail := _scalar_fault(value)) is not None:
        yield Fault(pointer(*path), detail)


def _scalar_fault(value: object) -> str | None:
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, str):
        return None if _is_text(value) else "not Unicode text: it holds half of a surrogate pair"
    if isinstance(value, int):
        return None if abs(value) <= _MAX_INT else _NOT_EXACT
    if isinstance(value, float):
        if not math.isfinite(value):
            return "not a number that JSON has"
        # Its canonical form is a row of digits, which readers take for an integer.
        return _NOT_EXACT if value.is_integer() and _MAX_INT < abs(value) < _EXPONENT_FROM else None
    return f"not a JSON value: {type(value).__name__}"


def _is_text(value: str) -> bool:
    return value.isascii() or not any("\ud800" <= char <= "\udfff" for char in value)
