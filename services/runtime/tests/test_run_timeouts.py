"""How long a run may take, as whoever starts it says: kept with the run, and never more than its graph allows."""

from __future__ import annotations

import pytest

from polis.proto import runtime
from polis.proto.graph import Graph, GraphInput, GraphOutput, Node
from polis.proto.problems import Invalid
from polis.testing import eventually


@pytest.fixture
def waits(played):
    """A graph that waits for what never comes."""

    def waits(key, **fields):
        played.graphs[key] = Graph(
            nodes={"go": Node("signal", {"name": "go"})},
            inputs={"x": GraphInput("go.in")},
            outputs={"y": GraphOutput("go.out")},
            **fields,
        )
        return key

    return waits


async def ended(person, run_id):
    async def look():
        found = await person.call(runtime.GetRun(run_id=run_id))
        return found if found.state in runtime.TERMINAL else None

    return await eventually(look, within_s=15)


async def test_a_run_that_rests_fails_when_the_time_is_over_that_its_start_gave_it(ada, waits, admin):
    """It is taken up for that: whoever does so, has its time from the run's row."""
    run = await ada.call(runtime.StartRun(graph=waits("limited"), input={"x": 1}, timeout_s=1.5))

    over = await ended(ada, run.id)

    assert (over.state, over.error.kind) == ("failed", "run.timeout")
    assert over.error.message == "the run took longer than 1.5 s"
    assert (over.ended_at - over.created_at).total_seconds() > 1.4
    assert await admin.fetchval("select timeout_s from runtime.runs where id = $1", run.id) == 1.5


async def test_what_its_graph_allows_holds_if_that_is_less(ada, waits):
    run = await ada.call(runtime.StartRun(graph=waits("brief", timeout_s=0.5), input={"x": 1}, timeout_s=600))

    assert (await ended(ada, run.id)).error.message == "the run took longer than 0.5 s"


async def test_of_many_each_has_the_time_that_was_given(ada, waits):
    request = runtime.StartRuns(graph=waits("several"), inputs=({"x": 1}, {"x": 2}), timeout_s=0.5)

    batch = await ada.call(request)

    for outcome in batch.outcomes:
        assert (await ended(ada, outcome.run_id)).error.message == "the run took longer than 0.5 s"


async def test_no_time_at_all_is_refused_by_name(ada, waits, refused):
    problem = await refused(ada.call(runtime.StartRun(graph=waits("none"), input={"x": 1}, timeout_s=0)))

    assert isinstance(problem, Invalid)
    assert problem.faults[0].pointer == "/timeout_s"
