"""The end of a run that its engine does not bring about: what was under way in it is cancelled where it was told to be."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from polis.proto.runtime import RunError, RunState, Step, Transition


def broken_off(
    told: Sequence[Step], seq: int, at_ms: int, state: RunState, why: RunError | None
) -> tuple[tuple[Step, ...], tuple[Transition, ...]]:
    """The steps from then on, and the transitions behind `seq`, of which the last is the run's own."""
    steps = tuple(_cancelled(step, at_ms) for step in told)
    changed = [step for step, before in zip(steps, told, strict=True) if step != before]
    of_steps = [Transition(seq + n, at_ms, step.state, step) for n, step in enumerate(changed, start=1)]
    return steps, (*of_steps, Transition(seq + len(changed) + 1, at_ms, state, error=why))


def _cancelled(step: Step, at_ms: int) -> Step:
    if step.state in ("succeeded", "failed", "skipped", "cancelled"):
        return step
    ended = at_ms if step.started_ms is not None else None
    return msgspec.structs.replace(step, state="cancelled", ended_ms=ended)
