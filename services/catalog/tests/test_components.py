"""Components that orgs bring themselves: refused when they are written, unless they can be run."""

from __future__ import annotations

import pytest

from polis.proto.catalog import (
    Activate,
    BreaksGraphs,
    ContentInvalid,
    CreateResource,
    GetDraft,
    PublishVersion,
    PutDraft,
    ResolveResource,
)
from services.catalog.tests.changing import activate, put

DOUBLE = "function process(ctx, port, value) { ctx.emit('out', value * 2); }"


def component(key="mine", source=DOUBLE, **fields):
    return {
        "key": key,
        "title": "Mine",
        "inputs": {"in": {}},
        "outputs": {"out": {}},
        "execution": {"type": "javascript", "source": source},
    } | fields


def line(key, port="out", arrives="in"):
    """A graph of one component, whose ports it names."""
    return {
        "nodes": {"n": {"component": key}},
        "inputs": {"x": {"target": f"n.{arrives}"}},
        "outputs": {"y": {"source": f"n.{port}"}},
    }


async def publish(client, key, content):
    made = await client.call(CreateResource(type="component", key=key, content=content))
    return await again(client, made.id)


async def again(client, resource_id, content=None):
    if content is not None:
        draft = await client.call(GetDraft(resource_id))
        await client.call(PutDraft(resource_id, revision=draft.revision, content=content))
    version = await client.call(PublishVersion(resource_id))
    await client.call(Activate(resource_id, "production", version.number))
    return resource_id


@pytest.mark.parametrize(
    ("fields", "pointer", "said"),
    [
        ({"source": "function process(ctx) { let x = ; }"}, "/execution/source", "SyntaxError"),
        ({"source": "const handle = 1;"}, "/execution/source", "no function `process`"),
        ({"source": "for (;;) {} function process() {}"}, "/execution/source", "interrupted"),
        ({"source": "throw new Error('x'); function process() {}"}, "/execution/source", "Error: x"),
        ({"scopes": ["catalog:read"]}, "/scopes", "rights"),
        ({"effects": ["http"], "pure": False}, "/effects", "reaches nothing"),
        ({"collects": True}, "/collects", "by itself"),
        ({"execution": {"type": "external"}}, "/pure", "not pure"),
        ({"execution": None}, "/execution", "no part of the runtime"),
    ],
)
async def test_what_nothing_could_run_is_refused_with_its_place(ada, refused, fields, pointer, said):
    content = component(**fields)
    if content["execution"] is None:
        del content["execution"]

    problem = await refused(ada.call(CreateResource(type="component", key="mine", content=content)))

    assert isinstance(problem, ContentInvalid)
    assert [(f.pointer, said in f.detail) for f in problem.faults] == [(pointer, True)]


async def test_a_source_beyond_its_bound_is_refused(ada, refused):
    content = component(source=DOUBLE + " " * (64 * 1024))

    problem = await refused(ada.call(CreateResource(type="component", key="mine", content=content)))

    assert "/execution" in problem.faults[0].pointer


async def test_a_key_of_the_runtime_is_taken_over_by_a_component_that_says_how_it_runs(ada, refused):
    bare = component("passthrough", outputs={"other": {}})
    del bare["execution"]

    problem = await refused(ada.call(CreateResource(type="component", key="passthrough", content=bare)))
    await publish(ada, "passthrough", component("passthrough", outputs={"other": {}}))

    assert [f.pointer for f in problem.faults] == ["/execution"]
    await ada.call(CreateResource(type="graph", key="g", content=line("passthrough", port="other")))


@pytest.mark.parametrize(
    "execution", [{"type": "javascript", "source": DOUBLE}, {"type": "external", "lease_s": 5}]
)
async def test_a_graph_is_refused_when_it_is_written_against_ports_that_the_active_version_has_not(
    ada, refused, execution
):
    pure = execution["type"] == "javascript"
    first = component(execution=execution, pure=pure)
    made = await publish(ada, "mine", first)
    await ada.call(CreateResource(type="graph", key="early", content=line("mine")))

    await again(
        ada, made, first | {"inputs": {"text": {"schema": {"type": "string"}}}, "outputs": {"done": {}}}
    )
    stale = await refused(ada.call(CreateResource(type="graph", key="stale", content=line("mine"))))
    misfit = line("mine", "done", "text")
    misfit["inputs"]["x"]["schema"] = {"type": "integer"}
    wrong = await refused(ada.call(CreateResource(type="graph", key="wrong", content=misfit)))
    unknown = await refused(ada.call(CreateResource(type="graph", key="unknown", content=line("theirs"))))

    assert {f.pointer for f in stale.faults} >= {"/inputs/x/target", "/outputs/y/source"}
    assert [f.pointer for f in wrong.faults] == ["/inputs/x/schema"]
    assert [f.pointer for f in unknown.faults] == ["/nodes/n/component"]
    await ada.call(CreateResource(type="graph", key="fresh", content=line("mine", "done", "text")))


async def test_a_version_that_active_graphs_do_not_fit_is_not_activated_but_in_one_set_with_them(
    ada, refused, make
):
    first = component()
    made = await publish(ada, "mine", first)
    await make(put("flow", line("mine"), "graph"), activate("flow", kind="graph"))
    wider = first | {"outputs": {"out": {}, "more": {}}}
    other = first | {"outputs": {"done": {}}}

    await again(ada, made, wider)
    problem = await refused(again(ada, made, other))
    assert (await ada.call(ResolveResource("component", "mine"))).number == 2
    await make(
        put("mine", other, "component"),
        activate("mine", kind="component"),
        put("flow", line("mine", "done"), "graph"),
        activate("flow", kind="graph"),
    )

    assert isinstance(problem, BreaksGraphs)
    assert problem.graphs == ("flow",)
    assert (await ada.call(ResolveResource("component", "mine"))).content["outputs"] == {"done": {}}
