"""Who uses whom: told when a version is published, held against deletion, listed both ways."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from polis.proto import Refused
from polis.proto.catalog import (
    Activate,
    CompareVersions,
    ContentInvalid,
    CreateResource,
    Deactivate,
    DeleteResource,
    DependencyGone,
    Difference,
    GetDraft,
    GetResource,
    InUse,
    ListDependencies,
    ListDependents,
    PublishVersion,
    PutDraft,
    ResourceNotFound,
    VersionNotFound,
)


@pytest.fixture
def make(ada):
    async def make(key, *uses, client=ada, kind="policy", **more):
        content = {"parts": [{"$use": use} for use in uses]}
        created = await client.call(CreateResource(type=kind, key=key, content=content, **more))
        await client.call(PublishVersion(created.id))
        return created

    return make


async def put(client, resource, content):
    draft = await client.call(GetDraft(resource.id))
    await client.call(PutDraft(resource.id, revision=draft.revision, content=content))
    return await client.call(PublishVersion(resource.id))


async def test_a_version_names_what_it_uses_and_that_names_its_users(ada, make):
    rule = await make("rule")
    await put(ada, rule, {"n": 2})
    await ada.call(Activate(rule.id, "production", 1))
    user = await make("user", "policy/rule", "policy/rule@2")

    used = (await ada.call(ListDependencies(user.id, "1"))).items

    assert [(d.used_key, d.used_id, d.used_number, d.pinned) for d in used] == [
        ("rule", rule.id, 1, False),
        ("rule", rule.id, 2, True),
    ]
    assert (await ada.call(ListDependents(rule.id))).items == used
    first = await ada.call(ListDependents(rule.id, limit=1))
    second = await ada.call(ListDependents(rule.id, limit=1, after=first.next_cursor))
    assert first.items + second.items == used


async def test_a_graph_uses_its_components(ada):
    nodes = {"a": {"component": "passthrough"}, "b": {"component": "log"}}
    graph = await ada.call(
        CreateResource(
            type="graph",
            key="two",
            content={
                "nodes": nodes,
                "edges": [{"source": "a.out", "target": "b.in"}],
                "inputs": {"value": {"target": "a.in"}},
            },
        )
    )
    await ada.call(PublishVersion(graph.id))

    used = (await ada.call(ListDependencies(graph.id, "1"))).items

    assert [(d.used_type, d.used_key) for d in used] == [("component", "log"), ("component", "passthrough")]
    users = (await ada.call(ListDependents(used[0].used_id))).items
    assert [d.key for d in users] == ["two"]


async def test_a_version_that_uses_what_is_not_there_is_not_published(ada, refused):
    await ada.call(CreateResource(type="policy", key="unpublished", content={}))
    wrong = ("policy/nothing", "policy/unpublished", "component/passthrough@9", "nonsense", 3)

    for n, use in enumerate(wrong):
        user = await ada.call(
            CreateResource(type="policy", key=f"user{n}", content={"parts": [{"$use": use}]})
        )
        problem = await refused(ada.call(PublishVersion(user.id)))
        assert isinstance(problem, ContentInvalid)
        assert problem.faults[0].pointer == "/parts/0/$use"
        assert (await ada.call(GetResource(user.id))).status == "draft"


async def test_what_is_used_is_not_deleted_or_deactivated_under_its_users(ada, make, refused):
    rule = await make("rule")
    await ada.call(Activate(rule.id, "production", 1))
    user = await make("user", "policy/rule")
    await ada.call(Activate(user.id, "production", 1))
    in_use = InUse(users=("policy/user",), environments=("production",))

    assert await refused(ada.call(DeleteResource(rule.id))) == in_use
    assert await refused(ada.call(Deactivate(rule.id, "production"))) == in_use
    await put(ada, user, {"parts": []})
    await ada.call(Activate(user.id, "production", 2))
    await ada.call(Deactivate(rule.id, "production"))
    await ada.call(DeleteResource(rule.id))
    assert await refused(ada.call(Activate(user.id, "production", 1))) == DependencyGone(
        used=("policy/rule",)
    )


async def test_a_colleagues_private_user_is_not_named_but_counts(ada, make, refused):
    rule = await make("rule")
    owner, colleague = ada.member("member"), ada.member("member")
    await make("secret", "policy/rule", client=owner, visibility="private")

    assert (await colleague.call(ListDependents(rule.id))).items == ()
    assert len((await owner.call(ListDependents(rule.id))).items) == 1
    assert await refused(colleague.call(DeleteResource(rule.id))) == InUse(users=(), environments=())


async def test_a_colleagues_private_resource_is_not_used(ada, make, refused):
    owner, colleague = ada.member("member"), ada.member("member")
    await make("secret", client=owner, visibility="private")

    assert isinstance(await refused(make("user", "policy/secret", client=colleague)), ContentInvalid)


async def test_what_a_public_version_uses_is_read_by_all_and_its_users_by_their_org(ada, ben, make, refused):
    rule = await make("rule", visibility="public")
    user = await make("user", "policy/rule", visibility="public")

    assert len((await ben.call(ListDependencies(user.id, "1"))).items) == 1
    assert (await ben.call(ListDependents(rule.id))).items == ()
    hidden = await make("hidden", "policy/rule")
    missing = ResourceNotFound(resource=str(hidden.id))
    assert await refused(ben.call(ListDependencies(hidden.id, "1"))) == missing


async def test_a_deletion_that_races_with_a_publication_leaves_no_use_of_nothing(ada, make, sql):
    for turn in range(6):
        rule = await make(f"rule{turn}")
        user = await ada.call(
            CreateResource(type="policy", key=f"user{turn}", content={"$use": f"policy/rule{turn}"})
        )

        await asyncio.gather(
            attempt(ada.call(PublishVersion(user.id))), attempt(ada.call(DeleteResource(rule.id)))
        )

    dangling = await sql(
        """
        select from catalog.uses u where u.org_id = $1
            and not exists (select from catalog.resources r where r.id = u.used_id)
        """,
        ada.org_id,
    )
    assert dangling == []


async def attempt(awaitable):
    with contextlib.suppress(Refused):
        await awaitable


async def test_versions_are_compared_by_what_turns_one_into_the_other(ada, ben, refused):
    made = await ada.call(CreateResource(type="policy", key="rule", content={"limit": 3, "old": True}))
    await ada.call(PublishVersion(made.id))
    await put(ada, made, {"limit": 4, "new": [1]})

    compared = await ada.call(CompareVersions(made.id, "2"))

    assert (compared.base, compared.version, compared.complete) == (1, 2, True)
    assert compared.changes == (
        Difference("replace", "/limit", value=4, old=3),
        Difference("add", "/new", value=[1]),
        Difference("remove", "/old", old=True),
    )
    assert (await ada.call(CompareVersions(made.id, "1", base="2"))).changes[0].value == 3
    assert (await ada.call(CompareVersions(made.id, "1"))).changes == ()
    assert await refused(ada.call(CompareVersions(made.id, "3"))) == VersionNotFound(version="3")
    assert await refused(ben.call(CompareVersions(made.id, "2"))) == ResourceNotFound(resource=str(made.id))


async def test_a_comparison_too_long_for_a_message_says_so(ada):
    made = await ada.call(CreateResource(type="graph", key="long", content=long_graph("a")))
    await ada.call(PublishVersion(made.id))
    await put(ada, made, long_graph("b"))

    compared = await ada.call(CompareVersions(made.id, "2"))

    assert not compared.complete
    assert [(c.op, c.value) for c in compared.changes] == [("replace", None)]


def long_graph(letter):
    value = {"target": "pass.in", "required": False, "default": letter * 400_000}
    return {"nodes": {"pass": {"component": "passthrough"}}, "inputs": {"value": value}}
