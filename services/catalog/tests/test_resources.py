"""Resources and their drafts: created, listed, read, changed, and who may do which."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from polis.proto.catalog import (
    CreateResource,
    ForeignResource,
    GetDraft,
    GetResource,
    KeyTaken,
    ListResources,
    PutDraft,
    ResourceNotFound,
    RevisionConflict,
)
from polis.proto.problems import Forbidden, Invalid, KeyReused, StaleCursor

RULES = {"when": "mail.arrived", "limit": 3}


def create(key="rules", content=None, **more):
    return CreateResource(type="ruleset", key=key, content=RULES if content is None else content, **more)


async def test_a_created_resource_can_be_read_with_its_draft(ada):
    created = await ada.call(create(name="Rules"))

    assert (created.org_id, created.created_by) == (ada.org_id, ada.principal_id)
    assert (created.key, created.name, created.visibility) == ("rules", "Rules", "org")
    assert (created.revision, created.latest) == (1, None)
    assert await ada.call(GetResource(created.id)) == created
    draft = await ada.call(GetDraft(created.id))
    assert (draft.resource_id, draft.revision, draft.content) == (created.id, 1, RULES)


async def test_a_resource_and_its_event_commit_together(ada, facts):
    created = await ada.call(create())

    assert await facts(ada.org_id) == [("resource_created", str(created.id))]


async def test_a_taken_key_is_refused_and_nothing_is_emitted(ada, refused, facts):
    await ada.call(create())
    before = await facts(ada.org_id)

    problem = await refused(ada.call(create(content={"other": True})))

    assert problem == KeyTaken(resource_type="ruleset", key="rules")
    assert await facts(ada.org_id) == before


async def test_a_key_is_free_in_another_type_and_in_another_org(ada, ben):
    await ada.call(create())

    await ada.call(CreateResource(type="policy", key="rules", content={}))
    await ben.call(create())


async def test_one_of_many_concurrent_creations_of_a_key_wins(ada):
    results = await asyncio.gather(*(ada.call(create()) for _ in range(8)), return_exceptions=True)

    assert sum(not isinstance(result, Exception) for result in results) == 1


async def test_a_repeated_creation_with_its_idempotency_key_gives_the_same_answer(ada, refused, facts):
    first = await ada.call(create(), key="once")

    assert await ada.call(create(), key="once") == first
    assert len(await facts(ada.org_id)) == 1
    assert await refused(ada.call(create(key="other"), key="once")) == KeyReused()


async def test_a_draft_is_replaced_under_the_revision_that_was_read(ada, refused):
    created = await ada.call(create())

    put = await ada.call(PutDraft(created.id, revision=1, content={"limit": 4}))
    late = await refused(ada.call(PutDraft(created.id, revision=1, content={"limit": 5})))

    assert (put.revision, put.content) == (2, {"limit": 4})
    assert late == RevisionConflict(expected=1, actual=2)
    assert (await ada.call(GetDraft(created.id))).content == {"limit": 4}
    assert (await ada.call(GetResource(created.id))).revision == 2


async def test_of_concurrent_changes_of_a_draft_one_wins(ada):
    created = await ada.call(create())

    results = await asyncio.gather(
        *(ada.call(PutDraft(created.id, revision=1, content={"limit": n})) for n in range(8)),
        return_exceptions=True,
    )

    assert sum(not isinstance(result, Exception) for result in results) == 1
    assert (await ada.call(GetResource(created.id))).revision == 2


async def test_the_same_draft_again_is_no_change(ada):
    created = await ada.call(create())

    assert (await ada.call(PutDraft(created.id, revision=1, content=RULES))).revision == 1


async def test_what_belongs_to_another_org_is_not_there(ada, ben, refused):
    created = await ada.call(create())
    missing = ResourceNotFound(resource=str(created.id))

    assert await refused(ben.call(GetResource(created.id))) == missing
    assert await refused(ben.call(GetDraft(created.id))) == missing
    assert await refused(ben.call(PutDraft(created.id, revision=1, content={}))) == missing
    assert created not in await everything(ben)


async def test_a_public_resource_is_readable_by_other_orgs_and_writable_by_none_of_them(ada, ben, refused):
    created = await ada.call(create(visibility="public"))
    foreign = ForeignResource(resource=str(created.id))

    assert await ben.call(GetResource(created.id)) == created
    assert created in await everything(ben, type="ruleset")
    assert await refused(ben.call(GetDraft(created.id))) == foreign
    assert await refused(ben.call(PutDraft(created.id, revision=1, content={}))) == foreign


async def test_a_private_resource_shows_to_its_creator_and_to_owners_and_admins(ada, refused):
    creator, colleague, admin = (ada.member(role) for role in ("member", "member", "admin"))
    created = await creator.call(create(visibility="private"))

    assert await refused(colleague.call(GetResource(created.id))) == ResourceNotFound(
        resource=str(created.id)
    )
    assert await refused(colleague.call(GetDraft(created.id))) == ResourceNotFound(resource=str(created.id))
    assert created not in await everything(colleague)
    for client in (creator, admin, ada):
        assert await client.call(GetResource(created.id)) == created
        assert created in await everything(client)


@pytest.mark.parametrize("role", ["member", "agent"])
async def test_only_owners_and_admins_show_something_to_every_org(ada, refused, role):
    problem = await refused(ada.member(role).call(create(visibility="public")))

    assert problem == Forbidden(scope="catalog:public")
    await ada.member("admin").call(create(visibility="public"))


async def test_reads_that_come_together_get_their_own_answers(ada, ben, refused):
    mine = [await ada.call(create(key=f"mine-{n}")) for n in range(10)]
    theirs = [await ben.call(create(key=f"theirs-{n}")) for n in range(10)]
    shown = await ben.call(create(key="shown", visibility="public"))
    hidden = await ada.member("member").call(create(key="hidden", visibility="private"))
    colleague = ada.member("member")

    for client, seen in ((ada, {*mine, hidden, shown}), (colleague, {*mine, shown}), (ben, {*theirs, shown})):
        requests = [client.call(GetResource(r.id)) for r in [*mine, *theirs, shown, hidden] * 3]
        answers = await asyncio.gather(*requests, return_exceptions=True)
        assert {answer for answer in answers if not isinstance(answer, Exception)} == seen
        assert sum(not isinstance(answer, Exception) for answer in answers) == 3 * len(seen)


async def test_a_viewer_reads_and_does_not_write(ada, refused):
    created = await ada.call(create())
    viewer = ada.member("viewer")

    assert await viewer.call(GetResource(created.id)) == created
    assert await refused(viewer.call(create(key="other"))) == Forbidden(scope="catalog:write")


async def test_a_list_gives_every_resource_once_in_the_order_of_keys(ada):
    keys = [f"rules-{n:02}" for n in range(25)]
    for key in reversed(keys):
        await ada.call(create(key=key))

    assert [r.key for r in await everything(ada, type="ruleset", limit=7) if r.org_id == ada.org_id] == keys
    assert [r.key for r in await everything(ada, limit=7) if r.org_id == ada.org_id] == keys


async def test_a_list_mixes_the_orgs_own_with_public_ones(ada, ben):
    shown = [
        await ben.call(create(key=f"shared-{n}-{uuid4().hex[:8]}", visibility="public")) for n in range(5)
    ]
    own = [await ada.call(create(key=f"shared-{n}")) for n in range(5)]

    listed = await everything(ada, type="ruleset", limit=3)

    assert set(shown) | set(own) <= set(listed)
    assert len(listed) == len(set(listed))
    assert [r.key for r in listed] == sorted(r.key for r in listed)


async def test_a_cursor_holds_for_its_own_list_only(ada, ben, refused):
    for n in range(3):
        await ada.call(create(key=f"rules-{n}"))
    cursor = (await ada.call(ListResources(type="ruleset", limit=1))).next_cursor
    mistyped = ("A" if cursor[0] != "A" else "B") + cursor[1:]

    assert await refused(ben.call(ListResources(type="ruleset", limit=1, after=cursor))) == StaleCursor()
    assert await refused(ada.call(ListResources(type="policy", limit=1, after=cursor))) == StaleCursor()
    assert await refused(ada.call(ListResources(limit=1, after=cursor))) == StaleCursor()
    assert await refused(ada.call(ListResources(type="ruleset", after=mistyped))) == StaleCursor()
    assert await refused(ada.call(ListResources(type="ruleset", after="no cursor"))) == StaleCursor()


@pytest.mark.parametrize(
    "fields",
    [
        {"key": "Rules"},
        {"key": "rules\n"},
        {"key": "r" * 121},
        {"name": "nul \x00"},
        {"visibility": "secret"},
        {"type": "thing"},
        {"content": []},
    ],
    ids=["capital", "newline", "long", "nul", "visibility", "type", "content"],
)
async def test_a_malformed_creation_is_refused_with_its_pointer(ada, refused, fields):
    problem = await refused(
        ada.send(CreateResource, {"type": "ruleset", "key": "rules", "content": {}, **fields})
    )

    assert isinstance(problem, Invalid)
    assert [fault.pointer for fault in problem.faults] == [f"/{next(iter(fields))}"]


async def everything(client, **filters):
    """All pages of a list, one after another."""
    items, after = [], None
    while True:
        page = await client.call(ListResources(**filters, after=after))
        items += page.items
        after = page.next_cursor
        if after is None:
            return items
