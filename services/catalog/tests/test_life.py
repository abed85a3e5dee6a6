"""What becomes of resources: described anew, deprecated, deleted when nothing needs them."""

from __future__ import annotations

import pytest

from polis.proto.catalog import (
    Activate,
    ChangeResource,
    CreateResource,
    Deactivate,
    DeleteResource,
    Deprecate,
    ForeignResource,
    GetResource,
    GetVersion,
    InUse,
    ListActivations,
    ListMoves,
    NotActive,
    PublishVersion,
    PutDraft,
    Reinstate,
    ResourceNotFound,
)
from polis.proto.problems import Forbidden, StaleCursor


@pytest.fixture
def make(ada):
    async def make(key="rule", content=None, client=ada, **more):
        created = await client.call(
            CreateResource(type="policy", key=key, content=content or {"of": key}, **more)
        )
        await client.call(PublishVersion(created.id))
        return created

    return make


async def test_name_and_tags_change_and_the_rest_stays(ada, make, facts):
    made = await make(tags=("b", "a", "b"))

    changed = await ada.call(ChangeResource(made.id, name="Rule", tags=("z",)))

    assert (made.tags, changed.tags, changed.name) == (("a", "b"), ("z",), "Rule")
    assert (changed.visibility, changed.revision, changed.status) == ("org", 1, "published")
    assert await ada.call(GetResource(made.id)) == changed
    assert await ada.call(ChangeResource(made.id, tags=("z",))) == changed
    assert [fact for fact, _ in await facts(ada.org_id)].count("resource_changed") == 1


async def test_who_else_sees_a_resource_is_for_its_creator_and_the_orgs_managers_to_say(ada, make, refused):
    creator, colleague, admin = ada.member("member"), ada.member("member"), ada.member("admin")
    made = await make(client=creator)

    assert isinstance(await refused(colleague.call(ChangeResource(made.id, visibility="private"))), Forbidden)
    assert isinstance(await refused(creator.call(ChangeResource(made.id, visibility="public"))), Forbidden)
    assert (await creator.call(ChangeResource(made.id, visibility="private"))).visibility == "private"
    assert await refused(colleague.call(GetVersion(made.id, "1"))) == ResourceNotFound(resource=str(made.id))
    assert (await admin.call(ChangeResource(made.id, visibility="public"))).visibility == "public"


async def test_a_deprecation_says_what_to_use_instead_and_can_be_taken_back(ada, make):
    made = await make()

    deprecated = await ada.call(Deprecate(made.id, note="Use `other`."))
    assert (deprecated.status, deprecated.deprecation) == ("deprecated", "Use `other`.")
    await ada.call(PutDraft(made.id, revision=1, content={"more": 1}))
    await ada.call(PublishVersion(made.id))
    assert (await ada.call(GetResource(made.id))).status == "deprecated"
    assert (await ada.call(Reinstate(made.id))).status == "published"


async def test_what_nothing_needs_is_deleted_with_its_versions_and_its_key_is_free(ada, make, refused, facts):
    made = await make()

    await ada.call(DeleteResource(made.id))

    gone = ResourceNotFound(resource=str(made.id))
    assert await refused(ada.call(GetResource(made.id))) == gone
    assert await refused(ada.call(GetVersion(made.id, "1"))) == gone
    assert await refused(ada.call(DeleteResource(made.id))) == gone
    assert (await facts(ada.org_id))[-1] == ("resource_deleted", str(made.id))
    assert (await make()).id != made.id


async def test_what_is_active_is_not_deleted_until_it_is_no_more(ada, make, refused):
    made = await make()
    await ada.call(Activate(made.id, "staging", 1))

    assert await refused(ada.call(DeleteResource(made.id))) == InUse(users=(), environments=("staging",))
    await ada.call(Deactivate(made.id, "staging"))
    assert await refused(ada.call(Deactivate(made.id, "staging"))) == NotActive(environment="staging")
    await ada.call(DeleteResource(made.id))


async def test_another_orgs_public_resource_is_not_described_deprecated_or_deleted(ada, ben, make, refused):
    made = await make(visibility="public")

    for request in (
        ChangeResource(made.id, name="Mine"), Deprecate(made.id), Reinstate(made.id), DeleteResource(made.id),
        Deactivate(made.id, "production"), ListMoves(made.id, "production"),
    ):  # fmt: skip
        assert await refused(ben.call(request)) == ForeignResource(resource=str(made.id))


async def test_every_move_of_a_pointer_is_told_with_who_when_from_and_to(ada, make):
    made = await make()
    await ada.call(PutDraft(made.id, revision=1, content={"n": 2}))
    await ada.call(PublishVersion(made.id))
    for number in (1, 2):
        await ada.call(Activate(made.id, "production", number))
    await ada.call(Deactivate(made.id, "production"))
    await ada.call(Activate(made.id, "production", 1))

    moves = (await ada.call(ListMoves(made.id, "production"))).items
    assert [(m.change, m.previous, m.number) for m in moves] == [
        (4, None, 1),
        (3, 2, None),
        (2, 1, 2),
        (1, None, 1),
    ]
    assert {m.activated_by for m in moves} == {ada.principal_id}
    first = await ada.call(ListMoves(made.id, "production", limit=3))
    rest = await ada.call(ListMoves(made.id, "production", limit=3, after=first.next_cursor))
    assert (*first.items, *rest.items) == moves


async def test_environments_are_listed_on_pages(ada, make, refused):
    made, other = await make(), await make("other")
    for environment in ("production", "staging", "test"):
        await ada.call(Activate(made.id, environment, 1))

    first = await ada.call(ListActivations(made.id, limit=2))
    second = await ada.call(ListActivations(made.id, limit=2, after=first.next_cursor))

    assert [a.environment for a in first.items + second.items] == ["production", "staging", "test"]
    assert await refused(ada.call(ListActivations(other.id, after=first.next_cursor))) == StaleCursor()
