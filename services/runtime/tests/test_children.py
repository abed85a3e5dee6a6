"""A run starts others: each once, with rights no wider than its own; it waits for their ends, and they end with it."""

from __future__ import annotations

import pytest

from polis.proto import runtime
from polis.proto.graph import Edge, Graph, GraphInput, GraphOutput, Node
from polis.runtime.children import service
from polis.testing import eventually


@pytest.fixture
def publish(played):
    def publish(graph, key=""):
        name = key or f"family{len(played.graphs)}"
        played.graphs[name] = graph
        return name

    return publish


@pytest.fixture
def start(ada, publish):
    async def start(graph, x):
        return await ada.call(runtime.StartRun(graph=publish(graph), input={"x": x}))

    return start


@pytest.fixture
def children(ada):
    async def children(run):
        return (await ada.call(runtime.ListRuns(parent_id=run.id))).items

    return children


def one(key, **config):
    return Graph(
        nodes={"n": Node(key, config)},
        inputs={"x": GraphInput("n.in")},
        outputs={"y": GraphOutput("n.out")},
    )


def parent(child, *, port="out", **config):
    """A list; each item is given to a run of the child."""
    given = {"graph": child, "expression": '{"x": item}', "scopes": ["catalog:read"]} | config
    return Graph(
        nodes={"split": Node("split"), "run": Node("run", given)},
        edges=(Edge("split.out", "run.in"),),
        inputs={"x": GraphInput("split.in")},
        outputs={"y": GraphOutput(f"run.{port}", many=True)},
    )


@pytest.mark.parametrize("component", ["passthrough", "test.effect"])
async def test_a_run_waits_for_the_runs_that_it_started(
    ada, start, publish, ended, children, effects, component
):
    run = await start(parent(publish(one(component))), [1, 2, 3])

    assert (await ended(run)).state == "succeeded"

    output = await ada.call(runtime.GetOutput(run_id=run.id))
    assert output.values == {"y": [{"y": 1}, {"y": 2}, {"y": 3}]}
    started = await children(run)
    assert {(child.parent_id, child.actor_id) for child in started} == {(run.id, ada.principal_id)}
    assert len(started) == 3
    assert len(effects.keys) == len(set(effects.keys))


async def test_what_becomes_of_a_child_that_fails_is_for_the_error_port(ada, start, publish, ended):
    failing = publish(one("fail", kind="no.luck", message="not today"))

    caught = await start(parent(failing, port="error"), [1])
    failed = await start(parent(failing), [1])

    assert (await ended(caught)).state == "succeeded"
    (error,) = (await ada.call(runtime.GetOutput(run_id=caught.id))).values["y"]
    assert (error["step"], error["kind"]) == ("run", "no.luck")
    assert "not today" in error["message"]
    assert (await ended(failed)).error.kind == "no.luck"


async def test_a_child_may_do_no_more_than_its_parent_was_given(start, publish, ended):
    wide = publish(parent(publish(one("passthrough")), scopes=["runtime:read"]))

    error = (await ended(await start(parent(wide), [[1]]))).error

    assert (error.step, error.kind) == ("run", "forbidden")


async def test_a_run_that_is_begun_again_starts_no_child_twice(
    ada, start, publish, ended, children, effects, admin
):
    effects.gate.clear()
    run = await start(parent(publish(one("test.effect"))), [1, 2])

    async def both():
        return len(await children(run)) == 2

    await eventually(both, within_s=5)
    for _ in range(3):
        # Its process is gone, as far as anybody can see.
        epoch = await admin.fetchval(
            "update runtime.runs set owner = gen_random_uuid() where id = $1 returning epoch", run.id
        )

        async def taken_up(epoch=epoch):
            return await admin.fetchval("select epoch > $2 from runtime.runs where id = $1", run.id, epoch)

        await eventually(taken_up, within_s=5)
    effects.gate.set()

    assert (await ended(run)).state == "succeeded"
    assert len(await children(run)) == 2


async def test_a_cancel_goes_down_the_tree_within_two_seconds(
    ada, start, publish, ended, children, effects, admin
):
    effects.gate.clear()
    leaf = publish(one("test.effect"))
    middle = publish(parent(leaf))
    run = await start(parent(middle), [[1, 2], [3]])
    await eventually(lambda: len(effects.begun) == 3, within_s=10)

    await ada.call(runtime.CancelRun(run_id=run.id))

    async def all_over():
        return await admin.fetchval(
            "select count(*) = 0 from runtime.runs where org_id = $1 and ended_at is null", run.org_id
        )

    await eventually(all_over, within_s=2)
    (child, _) = await children(run)
    assert (child.state, child.error.kind) == ("cancelled", "parent.gone")
    effects.gate.set()
    assert effects.keys == []


async def test_a_child_that_takes_too_long_is_cancelled_and_fails_its_step(
    ada, start, publish, ended, children, effects
):
    effects.gate.clear()
    run = await start(parent(publish(one("test.effect")), timeout_s=1.0), [1])

    assert (await ended(run)).error.kind == "wait.timeout"

    (child,) = await children(run)
    assert (await ended(child)).state == "cancelled"


async def test_a_run_has_a_bounded_number_of_children_and_of_runs_above_it(
    start, publish, ended, monkeypatch, effects
):
    monkeypatch.setattr(service, "MAX_CHILDREN", 2)
    error = (await ended(await start(parent(publish(one("passthrough"))), [1, 2, 3]))).error
    assert error.kind == "runtime.too_many_children"

    monkeypatch.setattr(service, "MAX_DEPTH", 1)
    deep = parent(publish(parent(publish(one("passthrough")))))
    error = (await ended(await start(deep, [[1]]))).error
    assert error.kind == "runtime.too_many_children"
