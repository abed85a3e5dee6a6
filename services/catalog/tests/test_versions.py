"""Versions and activations: written once, found by number and digest, pointed at by environments."""

from __future__ import annotations

import asyncio
import hashlib
from uuid import uuid4

from polis.proto.catalog import (
    Activate,
    CreateResource,
    ForeignResource,
    GetVersion,
    ListVersions,
    NotActive,
    PublishVersion,
    PutDraft,
    ResolveResource,
    ResourceNotFound,
    RevisionConflict,
    VersionNotFound,
)
from polis.proto.problems import StaleCursor


async def resource(client, key="policy", content=None, **more):
    return await client.call(
        CreateResource(type="policy", key=key, content=content or {"b": 1, "a": [1.0]}, **more)
    )


async def published(client, count, **more):
    """A resource with this many versions."""
    made = await resource(client, **more)
    await client.call(PublishVersion(made.id))
    for n in range(1, count):
        await client.call(PutDraft(made.id, revision=n, content={"n": n}))
        await client.call(PublishVersion(made.id, changelog=f"change {n}"))
    return made


async def test_a_version_is_addressed_by_the_hash_of_its_canonical_json(ada):
    made = await resource(ada)

    version = await ada.call(PublishVersion(made.id, changelog="first"))

    assert version.digest == hashlib.sha256(b'{"a":[1],"b":1}').hexdigest()
    assert (version.number, version.changelog, version.content) == (1, "first", {"a": [1], "b": 1})
    assert version.published_by == ada.principal_id
    assert await ada.call(GetVersion(made.id, "1")) == version
    assert await ada.call(GetVersion(made.id, version.digest)) == version


async def test_unchanged_content_is_the_latest_version_again(ada, facts):
    made = await resource(ada)
    first = await ada.call(PublishVersion(made.id, changelog="first"))
    told = await facts(ada.org_id)
    await ada.call(PutDraft(made.id, revision=1, content={"a": [1], "b": 1.0}))

    assert await ada.call(PublishVersion(made.id, changelog="second")) == first
    assert await facts(ada.org_id) == told


async def test_content_that_comes_back_after_another_is_a_new_version_with_the_same_digest(ada):
    made = await published(ada, 2)
    await ada.call(PutDraft(made.id, revision=2, content={"b": 1, "a": [1]}))

    third = await ada.call(PublishVersion(made.id))

    first = await ada.call(GetVersion(made.id, "1"))
    assert (third.number, third.digest) == (3, first.digest)
    assert (await ada.call(GetVersion(made.id, first.digest))).number == 3


async def test_a_stale_revision_is_not_published(ada, refused):
    made = await resource(ada)
    await ada.call(PutDraft(made.id, revision=1, content={}))

    assert await refused(ada.call(PublishVersion(made.id, revision=1))) == RevisionConflict(
        expected=1, actual=2
    )
    assert (await ada.call(PublishVersion(made.id, revision=2))).number == 1


async def test_concurrent_publications_give_one_version(ada):
    made = await resource(ada)

    versions = await asyncio.gather(*(ada.call(PublishVersion(made.id)) for _ in range(8)))

    assert {version.number for version in versions} == {1}


async def test_versions_are_listed_newest_first_on_pages(ada, refused):
    made, other = await published(ada, 5), await published(ada, 1, key="other")

    first = await ada.call(ListVersions(made.id, limit=3))
    second = await ada.call(ListVersions(made.id, limit=3, after=first.next_cursor))

    assert [v.number for v in first.items + second.items] == [5, 4, 3, 2, 1]
    assert second.next_cursor is None
    assert first.items[0].changelog == "change 4"
    assert await refused(ada.call(ListVersions(other.id, after=first.next_cursor))) == StaleCursor()


async def test_a_version_that_is_not_there_is_told_from_a_resource_that_is_not_there(ada, ben, refused):
    made = await published(ada, 1)

    assert await refused(ada.call(GetVersion(made.id, "2"))) == VersionNotFound(version="2")
    assert await refused(ada.call(GetVersion(made.id, "0" * 64))) == VersionNotFound(version="0" * 64)
    nobody = uuid4()
    assert await refused(ada.call(GetVersion(nobody, "1"))) == ResourceNotFound(resource=str(nobody))
    for request in (GetVersion(made.id, "1"), ListVersions(made.id), PublishVersion(made.id)):
        assert await refused(ben.call(request)) == ResourceNotFound(resource=str(made.id))


async def test_an_environment_uses_the_version_that_was_activated_there(ada, refused):
    made = await published(ada, 2)
    request = ResolveResource(type="policy", key="policy")

    assert await refused(ada.call(request)) == NotActive(environment="production")
    await ada.call(Activate(made.id, "production", 1))
    await ada.call(Activate(made.id, "staging", 2))

    assert (await ada.call(request)).number == 1
    staging = await ada.call(ResolveResource(type="policy", key="policy", environment="staging"))
    assert (staging.number, staging.content) == (2, {"n": 1})


async def test_activations_move_a_pointer_and_keep_its_history(ada, facts, sql):
    made = await published(ada, 2)
    told = len(await facts(ada.org_id))
    for number in (1, 2, 2, 1):
        activation = await ada.call(Activate(made.id, "production", number))
        assert (activation.number, activation.activated_by) == (number, ada.principal_id)

    history = await sql(
        "select change, number, previous from catalog.activation_history where resource_id = $1 order by change",
        made.id,
    )
    assert [tuple(row) for row in history] == [(1, 1, None), (2, 2, 1), (3, 1, 2)]
    assert (await facts(ada.org_id))[told:] == [("version_activated", str(made.id))] * 3


async def test_only_a_version_that_exists_is_activated(ada, refused, facts):
    made = await published(ada, 1)
    told = await facts(ada.org_id)

    assert await refused(ada.call(Activate(made.id, "production", 2))) == VersionNotFound(version="2")
    assert await facts(ada.org_id) == told


async def test_the_orgs_own_resource_goes_before_the_meshs_public_one(ada, ben):
    shipped = await ada.call(ResolveResource(type="component", key="passthrough"))
    made = await ada.call(CreateResource(type="component", key="passthrough", content=shipped.content))
    await ada.call(PublishVersion(made.id))

    assert (
        await ada.call(ResolveResource(type="component", key="passthrough"))
    ).resource_id == shipped.resource_id
    await ada.call(Activate(made.id, "production", 1))
    assert (await ada.call(ResolveResource(type="component", key="passthrough"))).resource_id == made.id
    assert (
        await ben.call(ResolveResource(type="component", key="passthrough"))
    ).resource_id == shipped.resource_id


async def test_nobody_takes_a_name_over_by_publishing_it(ada, ben, refused):
    key = f"public-{uuid4().hex}"
    made = await published(ada, 1, key=key, visibility="public")
    await ada.call(Activate(made.id, "production", 1))

    request = ResolveResource(type="policy", key=key)
    assert await refused(ben.call(request)) == ResourceNotFound(resource=f"policy/{key}")
    assert (await ben.call(GetVersion(made.id, "1"))).number == 1


async def test_versions_of_a_public_resource_are_read_by_all_and_changed_by_its_org(ada, ben, refused):
    made = await published(ada, 1, visibility="public")
    foreign = ForeignResource(resource=str(made.id))

    assert len((await ben.call(ListVersions(made.id))).items) == 1
    assert await refused(ben.call(PublishVersion(made.id))) == foreign
    assert await refused(ben.call(Activate(made.id, "production", 1))) == foreign


async def test_a_colleague_does_not_resolve_a_private_resource(ada, refused):
    creator, colleague = ada.member("member"), ada.member("member")
    made = await published(creator, 1, visibility="private")
    await creator.call(Activate(made.id, "production", 1))
    request = ResolveResource(type="policy", key="policy")

    assert (await creator.call(request)).resource_id == made.id
    assert await refused(colleague.call(request)) == ResourceNotFound(resource="policy/policy")
