"""What every client operation came to: ok, fail or unknown. Checkers read it afterwards and name what is wrong.

A timeout is unknown, never a failure: the effect may have happened (Jepsen's rule).
"""

from __future__ import annotations

import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from msgspec import Struct

from polis.proto import Refused
from polis.proto.problems import DeadlineExceeded, Internal, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

UNKNOWN_PROBLEMS = (DeadlineExceeded, Unavailable, Internal)
"""Refusals after which an effect may have happened: the connection was cut, or the answer was lost."""
_SHOWN = 8


class Operation(Struct):
    """One operation: its key in the effects, how it came out, and when."""

    key: str
    outcome: str = "unknown"
    started: float = 0.0
    ended: float = 0.0
    detail: str = ""


class History:
    """The record of one run of a test."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []

    @contextmanager
    def invoke(self, key: str) -> Iterator[Operation]:
        """Record what is done inside: ok at its end, fail or unknown by what it raises. Nothing is raised further."""
        operation = Operation(key, started=time.monotonic())
        self.operations.append(operation)
        try:
            yield operation
            operation.outcome = "ok"
        except Refused as refusal:
            operation.detail = refusal.problem.type
            operation.outcome = "unknown" if isinstance(refusal.problem, UNKNOWN_PROBLEMS) else "fail"
        except (TimeoutError, OSError) as error:
            operation.detail = repr(error)
        finally:
            operation.ended = time.monotonic()

    def keys(self, *outcomes: str) -> set[str]:
        return {o.key for o in self.operations if o.outcome in outcomes}

    def count(self, outcome: str) -> int:
        return sum(o.outcome == outcome and o.ended > 0 for o in self.operations)

    def longest_s(self) -> float:
        return max((o.ended - o.started for o in self.operations), default=0.0)

    def summary(self) -> str:
        counts = Counter(o.outcome for o in self.operations)
        details = Counter(o.detail for o in self.operations if o.detail)
        told = ", ".join(f"{counts[outcome]} {outcome}" for outcome in ("ok", "fail", "unknown"))
        return f"{told}; {dict(details)}" if details else told


def lost(history: History, effects: Iterable[str]) -> set[str]:
    """Operations that were acknowledged and have no effect."""
    return history.keys("ok") - set(effects)


def doubled(effects: Iterable[str]) -> set[str]:
    """Effects that happened more than once."""
    return {key for key, count in Counter(effects).items() if count > 1}


def invented(history: History, effects: Iterable[str]) -> set[str]:
    """Effects of operations that were refused, or never asked for."""
    return set(effects) - history.keys("ok", "unknown")


def disordered(sequences: Mapping[str, Sequence[int]]) -> set[str]:
    """Entities whose numbers did not arrive in ascending order; repeats are `doubled`'s business."""
    return {entity for entity, numbers in sequences.items() if list(numbers) != sorted(numbers)}


def violations(history: History, effects: Sequence[str]) -> dict[str, list[str]]:
    """What breaks "acknowledged means once, unknown means once or not at all, refused means not at all"; by rule."""
    found = {
        "lost": lost(history, effects),
        "doubled": doubled(effects),
        "invented": invented(history, effects),
    }
    return {rule: sorted(keys)[:_SHOWN] for rule, keys in found.items() if keys}
