"""What is told of a run that has ended, besides its record: how long its steps took, and its trace where one is kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING
from uuid import UUID

from polis.runtime import metrics
from polis.telemetry import spans, trace
from polis.telemetry.trace import Trace

if TYPE_CHECKING:
    from polis.proto.runtime import Run, Step
    from polis.runtime.engine.program import Program


def measure(steps: Iterable[Step], took: Mapping[str, Sequence[float]]) -> None:
    """Count the seconds of steps by component: of each attempt that is known, else the step's own, shared out."""
    for step in steps:
        if step.node in took:
            for seconds in took[step.node]:
                metrics.step_times.add(step.component, seconds)
        elif step.started_ms is not None and step.ended_ms is not None:
            seconds = (step.ended_ms - step.started_ms) / 1000 / max(1, step.attempts)
            metrics.step_times.add(step.component, seconds)


def export(run: Run, program: Program, steps: Sequence[Step], starter: Trace | None) -> None:
    """Send the run as a trace of its own: a span for each step, linked to those that it got its messages from.

    Whether it is kept is said by the request that started it, or drawn from the run's id, so that every process says the
    same; what failed is kept anyway. starter: the trace of that request.
    """
    failed = run.state == "failed"
    own = Trace(run.id.hex, _span(run.id, ""), _sampled(run.id) or (starter is not None and starter.sampled))
    if run.ended_at is None or not spans.recording(own, failed=failed):
        return
    began = run.created_at.timestamp()
    sources = {
        stage.path: [program.steps[number].path for number in _sources(program, stage.path)]
        for stage in program.steps
    }
    for step in steps:
        if step.started_ms is None or step.ended_ms is None:
            continue
        outer = step.node.rpartition("/")[0]
        spans.record(
            step.node,
            Trace(own.trace_id, _span(run.id, step.node), sampled=True, parent_id=_span(run.id, outer)),
            kind="internal",
            seconds=(step.ended_ms - step.started_ms) / 1000,
            ended_at=began + step.ended_ms / 1000,
            attributes={
                "polis.component": step.component,
                "polis.state": step.state,
                "polis.attempts": step.attempts,
                "polis.received": step.received,
                "polis.emitted": step.emitted,
            },
            error=step.error or "failed" if step.state == "failed" else "",
            links=[Trace(own.trace_id, _span(run.id, path), sampled=True) for path in sources[step.node]],
        )
    spans.record(
        f"run {run.graph}",
        own,
        kind="internal",
        seconds=(run.ended_at - run.created_at).total_seconds(),
        ended_at=run.ended_at.timestamp(),
        attributes={
            "polis.run_id": str(run.id),
            "polis.org_id": str(run.org_id),
            "polis.graph": run.graph,
            "polis.state": run.state,
        },
        error="" if run.error is None else f"{run.error.step}: {run.error.kind}",
        links=[starter] if starter is not None else [],
    )


def _sources(program: Program, path: str) -> list[int]:
    """The places among the steps of those that lead to a step, in the same graph."""
    stage = next(step for step in program.steps if step.path == path)
    inner = (
        stage.outer.body.stages
        if stage.outer is not None and stage.outer.body is not None
        else program.stages
    )
    return [inner[index].number for index in stage.sources]


def _span(run_id: UUID, path: str) -> str:
    """The same in every process: the run's own for an empty path."""
    return blake2b(path.encode(), digest_size=8, key=run_id.bytes).hexdigest()


def _sampled(run_id: UUID) -> bool:
    return (run_id.int & 0xFFFFFFFF) / 2**32 < trace.sample_ratio
