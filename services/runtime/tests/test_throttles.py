"""No more messages pass a throttling step than it lets within any period, whoever writes them down and when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from polis.proto import runtime
from polis.proto.graph import Edge, Graph, GraphInput, GraphOutput, Node
from polis.runtime.throttles.slots import Rate, Turns
from polis.testing import eventually

START = datetime(2026, 3, 2, 9, tzinfo=UTC)


def after(turn):
    return None if turn is None else (turn - START).total_seconds()


def test_messages_get_the_first_turn_in_which_they_are_not_too_many():
    turns = Turns(Rate(2, 10.0))

    assert [after(turns.opened(START)) for _ in range(5)] == [0, 0, 10, 10, 20]
    late = START + timedelta(seconds=45)
    assert [after(turns.due(late)) for _ in range(3)] == [45, 45, 55]
    assert [after(turns.opened(late)) for _ in range(2)] == [55, 65]


def test_what_would_have_to_wait_takes_no_turn_where_it_leaves():
    turns = Turns(Rate(2, 10.0, drops=True))

    assert [after(turns.opened(START)) for _ in range(4)] == [0, 0, None, None]
    assert turns.opened(START + timedelta(seconds=9.9)) is None
    assert after(turns.opened(START + timedelta(seconds=10))) == 10


@pytest.fixture
def start(ada, played):
    async def start(config, x):
        key = f"throttle{len(played.graphs)}"
        played.graphs[key] = Graph(
            nodes={"split": Node("split"), "slow": Node("throttle", config=config)},
            edges=(Edge("split.out", "slow.in"),),
            inputs={"x": GraphInput("split.in")},
            outputs={"y": GraphOutput("slow.out", many=True), "rest": GraphOutput("slow.rest", many=True)},
        )
        run = await ada.call(runtime.StartRun(graph=key, input={"x": x}))

        async def ended():
            return (await ada.call(runtime.GetRun(run_id=run.id))).state == "succeeded"

        await eventually(ended, within_s=10)
        return run, (await ada.call(runtime.GetOutput(run_id=run.id))).values

    return start


async def test_messages_pass_in_their_order_and_never_too_many_within_a_period(start, admin):
    began = await admin.fetchval("select clock_timestamp()")

    run, values = await start({"times": 2, "per_s": 0.4}, [1, 2, 3, 4, 5])

    assert values == {"y": [1, 2, 3, 4, 5], "rest": []}
    closed = await admin.fetch("select closed_at from runtime.waits where run_id = $1 order by 1", run.id)
    # Counted from the beginning: a row may tell a later moment than the one at which its message was let through.
    taken = [(row["closed_at"] - began).total_seconds() for row in closed]
    assert [seconds >= 0.4 * (n // 2) for n, seconds in enumerate(taken)] == [True] * 5


async def test_what_is_too_much_leaves_by_another_way(start):
    _, values = await start({"times": 2, "per_s": 3600, "policy": "drop"}, ["a", "b", {"c": 1}])

    assert values == {"y": ["a", "b"], "rest": [{"c": 1}]}
