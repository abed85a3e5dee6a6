"""Runs whose components are scripts: pure ones are computed again, others are done once, and a bomb fails its own run."""

from __future__ import annotations

import asyncio

import pytest

from polis.proto import runtime
from polis.proto.graph import Component, Graph, GraphInput, GraphOutput, JavaScript, Node, Port
from polis.testing import eventually

CHANCE = """
function process(ctx, port, value) {
  for (const item of value) ctx.emit("out", { item, at: Date.now(), chance: Math.random(), by: ctx.config.by, key: ctx.key });
}
"""


def script(key, source, **fields):
    return Component(
        key,
        key,
        inputs={"in": Port()},
        outputs={"out": Port()},
        config={},
        execution=JavaScript(source),
        **fields,
    )


async def ended(person, run_id):
    async def look():
        run = await person.call(runtime.GetRun(run_id=run_id))
        return run if run.state in runtime.TERMINAL else None

    return await eventually(look, within_s=20)


async def started(person, graph, x):
    return await ended(person, (await person.call(runtime.StartRun(graph=graph, input={"x": x}))).id)


async def output(person, run):
    return (await person.call(runtime.GetOutput(run_id=run.id))).values["y"]


@pytest.mark.parametrize("pure", [True, False])
async def test_a_script_takes_each_message_and_what_it_emits_goes_on(ada, played, graph_of, pure):
    played.components["chance"] = script("chance", CHANCE, pure=pure)
    graph = graph_of("chance", "passthrough")
    graph.nodes["n0"] = Node("chance", config={"by": 7})
    played.graphs["scripted"] = graph

    run = await started(ada, "scripted", ["a", "b"])

    assert run.state == "succeeded"
    given = await output(ada, run)
    assert [(each["item"], each["by"], each["key"]) for each in given] == [
        (item, 7, f"{run.id}/n0/-") for item in ("a", "b")
    ]
    assert len({each["chance"] for each in given}) == 2
    # The moment of a pure step is that of the run's id, which is read a moment before that of its row.
    since = given[0]["at"] - (run.id.int >> 80)
    assert since == 0 if pure else 0 <= since < 60_000


async def test_messages_that_are_taken_together_come_by_port(ada, played):
    source = "function process(ctx, port, value) { ctx.emit('out', [port, value.a + value.b]); }"
    played.components["pair"] = Component(
        "pair", "", inputs={"a": Port(), "b": Port()}, outputs={"out": Port()}, merge="all", execution=JavaScript(source)
    )  # fmt: skip
    played.graphs["pairs"] = Graph(
        nodes={"n": Node("pair")},
        inputs={"x": GraphInput("n.a"), "z": GraphInput("n.b")},
        outputs={"y": GraphOutput("n.out")},
    )

    run = await ada.call(runtime.StartRun(graph="pairs", input={"x": 1, "z": 2}))

    assert await output(ada, await ended(ada, run.id)) == [None, 3]


@pytest.mark.parametrize(
    ("source", "kind", "said"),
    [
        ("function process() { for (;;) {} }", "script.timeout", "interrupted"),
        ("function process(ctx) { null.x }", "script.error", "TypeError"),
        ("function process(ctx) { ctx.emit('away', 1) }", "script.error", "no output `away`"),
        ("function process() { (function f() { f() })() }", "script.stack", "call stack"),
        ("function process() { const a = []; for (;;) a.push(new Uint8Array(1e6).fill(1)) }", "script.memory", "memory"),
    ],
)  # fmt: skip
async def test_a_bomb_fails_its_own_run_and_says_why(ada, played, graph_of, source, kind, said):
    played.components["bomb"] = script("bomb", source)
    played.components["bomb"] = Component(
        "bomb",
        "",
        inputs={"in": Port()},
        outputs={"out": Port()},
        execution=JavaScript(source, timeout_s=0.1),
    )
    played.components["double"] = script("double", "function process(c, p, v) { c.emit('out', v * 2); }")
    played.graphs["bomb"], played.graphs["double"] = graph_of("bomb"), graph_of("double")

    bombed, *doubled = await asyncio.gather(
        started(ada, "bomb", 0), *(started(ada, "double", n) for n in range(5))
    )

    assert (bombed.state, bombed.error.step, bombed.error.kind) == ("failed", "n0", kind)
    assert said in bombed.error.message
    assert [await output(ada, run) for run in doubled] == [[n * 2] for n in range(5)]


async def test_a_run_keeps_the_source_that_it_started_with(ada, played, effects, graph_of):
    """It is part of the run's program, named by its digest: a new version is of new runs alone."""
    played.components["turn"] = script("turn", "function process(c, p, v) { c.emit('out', 'first'); }")
    played.graphs["turns"] = graph_of("test.effect", "turn")
    effects.gate.clear()

    run = await ada.call(runtime.StartRun(graph="turns", input={"x": 1}))
    played.components["turn"] = script("turn", "function process(c, p, v) { c.emit('out', 'second'); }")
    effects.gate.set()

    assert await output(ada, await ended(ada, run.id)) == ["first"]


async def test_what_a_script_gives_is_what_it_says_that_it_gives(ada, played, graph_of):
    """Also where the schemas of a wire's ends prove that everything fits: they speak of what was promised."""
    source = "function process(ctx, port, value) { ctx.emit('out', value); }"
    number = {"type": "integer"}
    for key in ("gives", "takes"):
        described = Component(
            key, key, inputs={"in": Port(number if key == "takes" else {})}, outputs={"out": Port(number)},
            execution=JavaScript(source),
        )  # fmt: skip
        played.components[key] = described
    played.graphs["promised"] = graph_of("gives", "takes")

    right, wrong = await started(ada, "promised", 1), await started(ada, "promised", "one")

    assert right.state == "succeeded"
    assert (wrong.error.step, wrong.error.kind) == ("n0", "output.invalid")
