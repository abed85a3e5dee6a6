"""What operators are told of runs: slow ones once, the queue and steps in /metrics, ended ones as traces."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import msgspec
import pytest

from polis.graph import builtin
from polis.proto import runtime
from polis.proto.contract import event_type_of
from polis.proto.graph import Edge, Graph, GraphInput, Node
from polis.proto.runtime import Run, RunError, Step
from polis.runtime import metrics
from polis.runtime.component import implementation
from polis.runtime.engine.program import compile_program
from polis.runtime.shell import ended
from polis.telemetry import spans
from polis.telemetry.metrics import exposition
from polis.telemetry.trace import Trace
from polis.testing import eventually

RUN, ORG = UUID(int=(1 << 64) - 1), UUID(int=2)


@pytest.fixture
async def slow_events(stage):
    admin = await asyncpg.connect(stage.database.admin_url)

    async def told(run_id):
        rows = await admin.fetch(
            "select payload from runtime.outbox where entity = $1 and fact = $2",
            str(run_id),
            event_type_of(runtime.RunSlow).fact,
        )
        return [msgspec.json.decode(row["payload"], type=runtime.RunSlow) for row in rows]

    yield told
    await admin.close()


async def test_a_run_at_work_for_longer_than_its_graph_says_is_told_of_once(
    ada, played, effects, graph_of, slow_events
):
    played.graphs["slow"] = graph_of("test.effect", slow_after_s=0.2)
    played.graphs["patient"] = graph_of("test.effect")
    effects.gate.clear()
    run = await ada.call(runtime.StartRun(graph="slow", input={"x": 1}))
    patient = await ada.call(runtime.StartRun(graph="patient", input={"x": 1}))

    event = (await eventually(lambda: slow_events(run.id), within_s=5))[0]

    assert (event.run_id, event.graph, event.actor_id) == (run.id, "slow", ada.principal_id)
    assert 0.2 < event.seconds < 30
    assert await slow_events(patient.id) == []
    await eventually(lambda: metrics.lease_age._value.get() > 0)
    assert len(await slow_events(run.id)) == 1
    effects.gate.set()


async def test_metrics_tell_of_the_queue_the_lease_commits_and_steps(ada, played, effects, graph_of):
    played.graphs["counted"] = graph_of("split", "test.effect", "collect")
    run = await ada.call(runtime.StartRun(graph="counted", input={"x": [1]}))
    await eventually(lambda: _succeeded(ada, run.id))

    def text():
        found = exposition().decode()
        return found if 'polis_step_seconds_count{component="test.effect"}' in found else None

    told = await eventually(text)

    for line in (
        "polis_runs_queued ", "polis_runs_queue_lag_seconds ", "polis_runs_lease_age_seconds ",
        'polis_runs_flushed_count{what="progress"}', 'polis_step_seconds_bucket{component="collect",le="0.001"}',
    ):  # fmt: skip
        assert line in told, line


def test_orgs_cannot_make_more_series_than_there_are_room_for():
    times = metrics.StepTimes()

    for number in range(1_000):
        times.add(f"made.{number}", 0.1)

    (family,) = times.collect()
    components = {sample.labels["component"] for sample in family.samples}
    assert len(components) <= metrics._MOST_COMPONENTS + 1
    assert "other" in components


async def _succeeded(person, run_id):
    return (await person.call(runtime.GetRun(run_id=run_id))).state == "succeeded"


@pytest.fixture
def sent(monkeypatch):
    """The spans that would be sent to a collector."""
    found = []

    class Processor:
        def on_end(self, span):
            found.append(span)

    monkeypatch.setattr(spans, "_processor", Processor())
    return found


def program():
    graph = Graph(
        nodes={"a": Node("passthrough"), "b": Node("log")},
        edges=(Edge("a.out", "b.in"),),
        inputs={"x": GraphInput("a.in")},
    )
    return compile_program(graph, builtin.components(), implementation)


def run(state="succeeded"):
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return Run(
        RUN, ORG, "g", "0" * 64, state, ORG, ORG, at, at, at + timedelta(seconds=2),
        RunError("b", "test.broken", "it broke") if state == "failed" else None,
    )  # fmt: skip


STEPS = (
    Step("a", "passthrough", "A", "idle", "succeeded", 1, 1, 1, 0, 500),
    Step("b", "log", "B", "idle", "failed", 1, 0, 3, 500, 2_000, "it broke"),
)


def test_a_run_is_a_trace_of_its_own_with_a_span_for_each_step(sent):
    starter = Trace("1" * 32, "2" * 16, sampled=True)

    ended.export(run("failed"), program(), STEPS, starter)

    a, b, whole = sent
    assert {span.context.trace_id for span in sent} == {RUN.int}
    assert [span.name for span in sent] == ["a", "b", "run g"]
    assert {span.parent.span_id for span in (a, b)} == {whole.context.span_id}
    assert whole.parent is None
    assert [link.context.span_id for link in b.links] == [a.context.span_id]
    assert [link.context.trace_id for link in whole.links] == [int("1" * 32, 16)]
    assert (b.end_time - b.start_time, whole.end_time - whole.start_time) == (1_500_000_000, 2_000_000_000)
    assert b.start_time - whole.start_time == 500_000_000
    assert (b.status.description, whole.status.description) == ("it broke", "b: test.broken")


@pytest.mark.parametrize(("state", "kept"), [("succeeded", False), ("failed", True), ("cancelled", False)])
def test_of_runs_that_are_not_sampled_only_failures_are_sent(sent, state, kept):
    ended.export(run(state), program(), STEPS, Trace("1" * 32, "2" * 16, sampled=False))

    assert bool(sent) is kept
