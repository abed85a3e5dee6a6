"""What may be stored as the content of which type, and how a refusal names what is wrong."""

from __future__ import annotations

import pytest

from polis.proto.catalog import (
    MAX_CONTENT_BYTES,
    Activate,
    ContentInvalid,
    CreateResource,
    DeleteResource,
    GetDraft,
    ListDependencies,
    ListResources,
    PublishVersion,
    PutDraft,
)

ECHO = {
    "key": "echo",
    "title": "Echo",
    "inputs": {"in": {"schema": {"type": "string"}}},
    "outputs": {"out": {"schema": {"type": "string"}}},
    "pure": False,
    "execution": {"type": "external"},
}
GRAPH = {
    "nodes": {"first": {"component": "echo"}, "second": {"component": "echo"}},
    "edges": [{"source": "first.out", "target": "second.in"}],
    "inputs": {"text": {"target": "first.in", "schema": {"type": "string"}}},
    "outputs": {"text": {"source": "second.out"}},
}


async def use(client, content, key="echo"):
    """Make a component that graphs of the org may use."""
    made = await client.call(CreateResource(type="component", key=key, content=content))
    version = await client.call(PublishVersion(made.id))
    await client.call(Activate(made.id, "production", version.number))
    return made


def pointers(problem):
    assert isinstance(problem, ContentInvalid)
    return sorted(fault.pointer for fault in problem.faults)


async def test_a_graph_of_components_that_exist_is_stored_as_it_is(ada):
    await use(ada, ECHO)

    made = await ada.call(CreateResource(type="graph", key="twice", content=GRAPH))

    assert (await ada.call(GetDraft(made.id))).content == GRAPH


def every(graph):
    """A graph that runs another for each item."""
    return {
        "nodes": {"every": {"component": "each.graph", "config": {"graph": graph}}},
        "inputs": {"x": {"target": "every.in"}},
    }


async def test_a_graph_is_checked_with_those_that_it_runs_and_holds_on_to_what_they_use(ada, refused):
    echo = await use(ada, ECHO)
    inner = {"nodes": {"do": {"component": "echo"}}, "inputs": {"item": {"target": "do.in"}}}
    named = await ada.call(CreateResource(type="graph", key="inner", content=inner))
    written = await ada.call(CreateResource(type="graph", key="written", content=every(inner)))
    at = "/nodes/every/config/graph"

    early = await refused(
        ada.call(CreateResource(type="graph", key="early", content=every({"$use": "graph/inner@1"})))
    )
    await ada.call(PublishVersion(named.id))
    await ada.call(Activate(named.id, "production", 1))
    outer = await ada.call(
        CreateResource(type="graph", key="outer", content=every({"$use": "graph/inner@1"}))
    )
    wrong = await refused(
        ada.call(
            CreateResource(type="graph", key="wrong", content=every({"nodes": {"do": {"component": "no"}}}))
        )
    )
    draft = await ada.call(GetDraft(named.id))
    loops = every({"$use": "graph/inner"})
    itself = await refused(ada.call(PutDraft(named.id, revision=draft.revision, content=loops)))
    await ada.call(PublishVersion(written.id))
    await ada.call(PublishVersion(outer.id))
    used = [(await ada.call(ListDependencies(each.id, "1"))).items for each in (written, outer)]
    held = await refused(ada.call(DeleteResource(echo.id)))

    assert pointers(early) == [f"{at}/$use"]
    assert pointers(wrong) == [f"{at}/nodes/do/component"]
    assert pointers(itself) == [f"{at}/$use"]
    assert [[d.used_key for d in each] for each in used] == [["each.graph", "echo"], ["each.graph", "inner"]]
    assert "graph/written" in held.users


async def test_every_fault_of_a_graph_is_listed_with_its_pointer_and_nothing_is_stored(ada, refused, facts):
    await use(ada, ECHO)
    told = await facts(ada.org_id)
    content = {
        "nodes": {"first": {"component": "echo"}, "second": {"component": "nothing"}},
        "edges": [
            {"source": "first.out", "target": "first.in"},
            {"source": "third.out", "target": "first.in"},
        ],
    }

    problem = await refused(ada.call(CreateResource(type="graph", key="broken", content=content)))

    assert "/nodes/second/component" in pointers(problem)
    assert any(pointer.startswith("/edges/1") for pointer in pointers(problem))
    assert len(problem.faults) >= 3
    assert await facts(ada.org_id) == told
    assert [
        r.key for r in (await ada.call(ListResources(type="graph"))).items if r.org_id == ada.org_id
    ] == []


async def test_fields_of_the_wrong_shape_are_all_listed(ada, refused):
    content = {"nodes": {"First": {"component": "echo"}, "second": {"title": 3}}, "colour": "red"}

    problem = await refused(ada.call(CreateResource(type="graph", key="broken", content=content)))

    assert len(problem.faults) >= 3
    assert all(pointer == "" or pointer.startswith(("/nodes", "/colour")) for pointer in pointers(problem))


async def test_a_component_of_another_org_is_not_there(ada, ben, refused):
    await use(ben, ECHO)

    problem = await refused(ada.call(CreateResource(type="graph", key="twice", content=GRAPH)))

    assert pointers(problem) == ["/nodes/first/component", "/nodes/second/component"]


async def test_the_orgs_own_component_goes_before_the_meshs(ada, refused):
    narrow = {
        "key": "log",
        "title": "Own",
        "inputs": {"mine": {}},
        "pure": False,
        "execution": {"type": "external"},
    }
    await use(ada, narrow, key="log")
    uses = {"nodes": {"n": {"component": "log"}}, "inputs": {"x": {"target": "n.mine"}}}

    await ada.call(CreateResource(type="graph", key="own", content=uses))


async def test_a_draft_and_a_publication_are_checked_like_a_creation(ada, refused):
    component = await use(ada, ECHO)
    made = await ada.call(CreateResource(type="graph", key="twice", content=GRAPH))
    assert pointers(await refused(ada.call(PutDraft(made.id, revision=1, content={"nodes": {}}))))

    changed = {**ECHO, "outputs": {"other": {}}}
    await ada.call(PutDraft(component.id, revision=1, content=changed))
    await ada.call(
        Activate(component.id, "production", (await ada.call(PublishVersion(component.id))).number)
    )

    assert pointers(await refused(ada.call(PublishVersion(made.id))))


async def test_a_component_names_itself_as_its_resource_does(ada, refused):
    problem = await refused(ada.call(CreateResource(type="component", key="other", content=ECHO)))

    assert pointers(problem) == ["/key"]


async def test_the_schemas_of_a_component_are_checked(ada, refused):
    content = {**ECHO, "inputs": {"in": {"schema": {"type": "strng"}}}, "config": {"type": 3}}

    problem = await refused(ada.call(CreateResource(type="component", key="echo", content=content)))

    assert len(problem.faults) >= 2


def deep(levels):
    content = {}
    for _ in range(levels):
        content = {"a": content}
    return content


@pytest.mark.parametrize(
    ("content", "pointer"),
    [
        ({"n": 2**53}, "/n"),
        ({"list": [1, {"a/b": 2**60}]}, "/list/1/a~1b"),
        (deep(70), "/a" * 65),
        ({"text": "x" * MAX_CONTENT_BYTES}, ""),
        ({"a": {"k" * 1001: 1}}, "/a"),
    ],
    ids=["integer", "nested", "depth", "size", "key"],
)
async def test_any_other_content_is_a_bounded_json_object_that_all_readers_agree_on(
    ada, refused, content, pointer
):
    problem = await refused(ada.call(CreateResource(type="place", key="square", content=content)))

    assert pointers(problem) == [pointer]


async def test_a_refusal_is_small_whatever_is_wrong(ada, refused):
    content = {"k" * 1000: {str(n): 2**53 for n in range(1000)}, "n" * 200_000: 2**53}

    problem = await refused(ada.call(CreateResource(type="place", key="square", content=content)))

    assert len(problem.faults) == 101
    assert problem.faults[-1].detail == "these are the first 100 faults"
    assert max(len(fault.pointer) for fault in problem.faults) == 500


async def test_text_of_any_language_and_control_characters_come_back_as_they_were(ada):
    content = {
        "ключ": "日本語 🌍",
        "nul": "a\x00b",
        "lines": 'a\r\nb\t"\\',
        "numbers": [0, -1, 1.5, 1e300, 5e-324],
    }

    made = await ada.call(CreateResource(type="context", key="words", content=content))

    assert (await ada.call(GetDraft(made.id))).content == content
    assert (await ada.call(PublishVersion(made.id))).content == content


async def test_a_content_of_the_largest_size_travels_whole(ada):
    content = {"text": "x" * (MAX_CONTENT_BYTES - len('{"text":""}'))}

    made = await ada.call(CreateResource(type="context", key="large", content=content))

    assert (await ada.call(PublishVersion(made.id))).content == content


async def test_a_graph_that_could_not_run_is_refused_when_it_is_written(ada, refused):
    def node(component, **config):
        return {"component": component, "config": config}

    inner = {
        "nodes": {"n": node("filter", expression="item.size >")},
        "inputs": {"item": {"target": "n.in"}},
        "outputs": {"out": {"source": "n.out"}},
    }
    nodes = {
        "cel": node("switch", cases=["item > 1", "nobody > 1"]),
        "pattern": node("text.regex", pattern="(a"),
        "template": node("template", template="{{#open}}"),
        "schema": node("schema.check", schema={"type": "texts"}),
        "zone": node("time.add", zone="Europe/Atlantis"),
        "call": node("service.call", operation="catalog.drop_everything"),
        "field": node("service.call", operation="catalog.list_resources", arguments={"nope": 1}),
        "asked": node("ask", kind="vote", title="Which?", to=[{"role": "owner"}]),
        "each": node("each.graph", graph=inner),
    }
    written = {
        "nodes": nodes,
        "inputs": {name: {"target": f"{name}.in", "required": False} for name in nodes},
    }

    problem = await refused(ada.call(CreateResource(type="graph", key="broken", content=written)))

    assert pointers(problem) == sorted(
        [
            "/nodes/asked/config/choices",
            "/nodes/call/config/operation",
            "/nodes/cel/config/cases/1",
            "/nodes/each/config/graph/nodes/n/config/expression",
            "/nodes/field/config/arguments/nope",
            "/nodes/pattern/config/pattern",
            "/nodes/schema/config/schema/type",
            "/nodes/template/config/template",
            "/nodes/zone/config/zone",
        ]
    )
