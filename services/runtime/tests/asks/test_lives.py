"""Asks in whatever a run goes through: cancelled, paused, failed elsewhere, of an older version, in branches and graphs in graphs."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import msgspec
import pytest

from polis.proto import catalog, runtime
from polis.proto.contract import event_type_of
from polis.proto.graph import Edge, Graph, GraphInput, GraphOutput, Node
from polis.runtime.waits.due import complete_due

ASK = {"kind": "approval", "title": "{{.}}?", "to": [{"role": "admin"}]}


@pytest.fixture
def answer(ben, asking):
    """Answer everything that a run asks, as it comes, until it has ended; what was asked."""

    async def answer(run, decision="approve"):
        titles = []
        while True:
            asks = (await ben.call(runtime.ListAsks(run_id=run.id, limit=200))).items
            for ask in asks[::-1]:
                titles.append(ask.title)
                await ben.call(runtime.AnswerAsk(ask.id, decision))
            if (await ben.call(runtime.GetRun(run_id=run.id))).state in runtime.TERMINAL:
                return titles
            await asyncio.sleep(0.01)

    return answer


async def test_a_cancelled_run_takes_its_asks_back(ada, ben, asking, asks, refused):
    run = await asking.start(asks(), 1)
    (ask,) = await asking.of(run, ben)
    await asking.at_rest(run)

    await ada.call(runtime.CancelRun(run_id=run.id))

    assert await refused(ben.call(runtime.AnswerAsk(ask.id, "approve"))) == runtime.AskEnded("withdrawn")
    assert (await ben.call(runtime.ListAsks(run_id=run.id))).items == ()
    assert [a.state for a in await asking.of(run, ben, state="withdrawn")] == ["withdrawn"]
    assert await asking.facts(ask) == ["ask_opened", "ask_withdrawn"]


async def test_an_answer_and_a_cancel_at_once_are_one_after_the_other(ada, ben, asking, asks):
    for _ in range(8):
        run = await asking.start(asks(), 1)
        (ask,) = await asking.of(run, ben)

        await asyncio.gather(
            ben.call(runtime.AnswerAsk(ask.id, "approve")),
            ada.call(runtime.CancelRun(run_id=run.id)),
            return_exceptions=True,
        )

        ended = await asking.ended(run)
        facts = await asking.facts(ask)
        assert facts[0] == "ask_opened"
        assert facts[1:] in (["ask_answered"], ["ask_withdrawn"])
        assert ended.state == "cancelled" or facts[1:] == ["ask_answered"]


async def test_a_paused_run_is_answered_and_goes_on_with_that_when_it_is_resumed(ada, ben, asking, asks):
    run = await asking.start(asks(), 1)
    (ask,) = await asking.of(run, ben)
    await ada.call(runtime.PauseRun(run_id=run.id))

    assert (await ben.call(runtime.AnswerAsk(ask.id, "approve"))).state == "answered"

    assert (await ada.call(runtime.GetRun(run_id=run.id))).state == "paused"
    await ada.call(runtime.ResumeRun(run_id=run.id))
    assert (await asking.output(run))["y"] == [1]


async def test_another_version_of_the_graph_changes_nothing_for_what_was_asked(ben, asking, asks):
    run = await asking.start(asks(kind="choice", choices=["a", "b"]), 1)
    (ask,) = await asking.of(run, ben)
    await asking.at_rest(run)
    asking.played.graphs[run.graph] = asks(kind="choice", choices=["c", "d"], title="Other")

    assert [c.key for c in (await ben.call(runtime.GetAsk(ask.id))).choices] == ["a", "b"]
    await ben.call(runtime.AnswerAsk(ask.id, "b"))

    assert (await asking.output(run))["y"] == [{"choice": "b", "value": 1}]


async def test_a_run_that_is_brought_to_another_version_keeps_what_it_asks(ada, ben, asking, asks):
    run = await asking.start(asks(), 1)
    (ask,) = await asking.of(run, ben)
    await asking.at_rest(run)
    longer = msgspec.structs.replace(
        asks(),
        nodes={**asks().nodes, "more": Node("map", config={"expression": "[item]"})},
        edges=(Edge("ask.out", "more.in"),),
        outputs={"y": GraphOutput("more.out")},
    )
    asking.played.graphs[run.graph] = longer
    changed = catalog.VersionActivated(ada.org_id, uuid4(), "production", 2)
    asking.played.bus.publish(event_type_of(type(changed)).subject_at_once(changed), b"{}")
    await asking.played.bus.flush(5)

    await ada.call(runtime.MigrateRun(run_id=run.id))
    assert [a.id for a in await asking.of(run, ben)] == [ask.id]
    await ben.call(runtime.AnswerAsk(ask.id, "approve"))

    assert await asking.output(run) == {"y": [1]}
    assert await asking.facts(ask) == ["ask_opened", "ask_answered"]


async def test_a_run_that_takes_longer_than_its_graph_allows_takes_its_asks_back(ben, asking, asks):
    run = await asking.start(msgspec.structs.replace(asks(), timeout_s=1.5), 1)

    ended = await asking.ended(run)

    (ask,) = await asking.of(run, ben, state="withdrawn")
    assert (ended.state, ended.error.kind) == ("failed", "run.timeout")
    assert await asking.facts(ask) == ["ask_opened", "ask_withdrawn"]


def branches(**right) -> Graph:
    """Two asks side by side; what went on of both is one list."""
    return Graph(
        nodes={
            "left": Node("ask", config=ASK | {"title": "left"}),
            "right": Node("ask", config=ASK | {"title": "right"} | right),
            "both": Node("merge.all"),
        },
        edges=(Edge("left.out", "both.a"), Edge("right.out", "both.b")),
        inputs={"x": GraphInput("left.in"), "z": GraphInput("right.in", required=False, default=2)},
        outputs={"y": GraphOutput("both.out")},
    )


async def test_branches_ask_at_the_same_time_and_meet(ben, asking):
    run = await asking.start(branches(), 1)
    asked = {ask.title: ask for ask in await asking.of(run, ben, count=2)}

    await ben.call(runtime.AnswerAsk(asked["right"].id, "approve"))
    await asking.at_rest(run)
    await ben.call(runtime.AnswerAsk(asked["left"].id, "approve"))

    assert await asking.output(run) == {"y": {"a": 1, "b": 2}}


async def test_a_branch_that_fails_the_run_takes_the_other_ones_ask_back(ben, asking, database):
    run = await asking.start(branches(timeout_s=3600), 1)
    asked = {ask.title: ask for ask in await asking.of(run, ben, count=2)}
    await asking.fall_due(asked["right"])

    await complete_due(database)

    assert (await asking.ended(run)).state == "failed"
    assert await asking.facts(asked["left"]) == ["ask_opened", "ask_withdrawn"]
    assert await asking.facts(asked["right"]) == ["ask_opened", "ask_expired"]


def inner(node: Node, entry: str, leave: str, *edges: Edge, **nodes: Node) -> dict:
    """A graph with an ask, as it stands in a node's configuration."""
    graph = Graph(
        nodes={"ask": node, **nodes},
        edges=edges,
        inputs={entry: GraphInput("ask.in")},
        outputs={leave: GraphOutput("then.out" if nodes else "ask.out")},
    )
    return msgspec.to_builtins(graph)


def around(component: str, **config) -> Graph:
    return Graph(
        nodes={"outer": Node(component, config=config)},
        inputs={"x": GraphInput("outer.in")},
        outputs={"y": GraphOutput("outer.out")},
    )


async def test_each_item_of_a_graph_in_a_graph_asks_for_itself(ben, asking, answer):
    run = await asking.start(
        around("each.graph", graph=inner(Node("ask", config=ASK), "item", "it")), [1, 2, 3]
    )
    asked = await asking.of(run, ben, count=3)

    assert {ask.node for ask in asked} == {"outer/ask"}
    assert len({ask.item for ask in asked}) == 3
    assert sorted(await answer(run)) == ["1?", "2?", "3?"]

    assert await asking.output(run) == {"y": [1, 2, 3]}


async def test_each_round_of_a_loop_asks_again(ben, asking, answer):
    then = Node("map", config={"expression": "item + 1"})
    body = inner(Node("ask", config=ASK), "state", "state", Edge("ask.out", "then.in"), then=then)
    run = await asking.start(around("loop", graph=body, times=3), 1)

    assert await answer(run) == ["1?", "2?", "3?"]

    assert await asking.output(run) == {"y": 4}


async def test_what_was_approved_for_always_does_not_stop_a_loop(ben, asking, answer):
    then = Node("map", config={"expression": "item + 1"})
    body = inner(Node("ask", config=ASK), "state", "state", Edge("ask.out", "then.in"), then=then)
    run = await asking.start(around("loop", graph=body, times=20), 1)
    (ask,) = await asking.of(run, ben)

    await ben.call(runtime.AnswerAsk(ask.id, "always"))

    assert await asking.output(run) == {"y": 21}


async def test_a_step_behind_an_answer_is_done_once_though_the_run_has_rested(ben, asking, effects, asks):
    graph = asks()
    graph.nodes["then"] = Node("test.effect")
    graph = msgspec.structs.replace(
        graph, edges=(Edge("ask.out", "then.in"),), outputs={"y": GraphOutput("then.out")}
    )
    run = await asking.start(graph, 1)
    (ask,) = await asking.of(run, ben)
    await asking.at_rest(run)

    await ben.call(runtime.AnswerAsk(ask.id, "approve"))

    assert await asking.output(run) == {"y": 1}
    assert effects.keys == [f"{run.id}/then/0"]


async def test_what_was_asked_goes_with_its_run(ada, ben, asking, asks, refused):
    run = await asking.start(asks(kind="vote", choices=["a", "b"], quorum=9), 1)
    (ask,) = await asking.of(run, ben)
    await ben.call(runtime.AnswerAsk(ask.id, "a"))
    await ben.call(runtime.CreateAskLink(ask.id))
    await ada.call(runtime.CancelRun(run_id=run.id))

    await ada.call(runtime.DeleteRun(run_id=run.id))

    assert await refused(ben.call(runtime.GetAsk(ask.id))) == runtime.AskNotFound(ask.id)
    for table in ("ask_addressees", "ask_votes", "ask_links"):
        assert not await asking.admin.fetch(f"select from runtime.{table} where ask_id = $1", ask.id)
