"""Change sets: proposed, reviewed, planned, made together or not at all, undone."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from polis.catalog.access import Viewer
from polis.catalog.changes import engine, sets
from polis.catalog.versions import rows as versions
from polis.javascript import Pool
from polis.proto import Refused
from polis.proto.catalog import (
    Activate,
    AddChanges,
    ApplyChangeSet,
    Change,
    ChangedSince,
    ChangeSet,
    ChangeSetNotFound,
    ChangeSetState,
    ContentInvalid,
    CreateResource,
    GetChangeSet,
    GetResource,
    InUse,
    KeyTaken,
    ListChanges,
    ListChangeSets,
    PlanChangeSet,
    PlanOutdated,
    PublishVersion,
    PutDraft,
    QuotaExceeded,
    ResolveResource,
    ResourceNotFound,
    RestoreMoment,
    ReviewChangeSet,
    UndoChangeSet,
    VersionNotFound,
    WithdrawChangeSet,
)
from polis.proto.problems import Fault, Invalid
from polis.testing import eventually
from services.catalog.tests.changing import activate, active, deactivate, export, own, put


async def test_several_resources_are_made_and_activated_together(ada, make, facts):
    applied = await make(
        put("user", {"$use": "policy/rule"}),
        activate("user"),
        put("rule", name="Rule", tags=("b", "a"), deprecated=True, deprecation="Old."),
        activate("rule"),
        activate("rule", "staging", content={"other": 1}, changelog="another"),
    )

    assert (applied.status, applied.size, applied.applied_by) == ("applied", 5, ada.principal_id)
    assert await active(ada, "user") == {"$use": "policy/rule"}
    assert (await active(ada, "rule"), await active(ada, "rule", "staging")) == ({"of": "rule"}, {"other": 1})
    rule = (await own(ada))["rule"]
    assert (rule.name, rule.tags, rule.status, rule.deprecation) == ("Rule", ("a", "b"), "deprecated", "Old.")
    assert (await facts(ada.org_id))[-1] == ("change_set_applied", str(applied.id))


async def test_a_component_and_the_graph_that_needs_it_come_in_one_set(ada, make):
    shipped = await ada.call(ResolveResource("component", "passthrough"))
    component = shipped.content | {"key": "mine", "pure": False, "execution": {"type": "external"}}
    graph = {"nodes": {"a": {"component": "mine"}}, "inputs": {"value": {"target": "a.in"}}}

    await make(
        put("flow", graph, "graph"),
        activate("flow", kind="graph"),
        put("mine", component, "component"),
        activate("mine", kind="component"),
    )

    assert (await ada.call(ResolveResource("graph", "flow"))).number == 1


async def test_one_bad_change_undoes_all_of_them(ada, propose, refused, facts):
    told = await facts(ada.org_id)
    cases = {
        ContentInvalid: put("graph", {"nodes": {}}, "graph"),
        ResourceNotFound: activate("nothing"),
        VersionNotFound: activate("rule", number=7),
    }
    for problem, bad in cases.items():
        proposed = await propose(put("rule"), bad)
        assert isinstance(await refused(ada.call(ApplyChangeSet(proposed.id))), problem)
        with pytest.raises(Refused) as planned:
            await ada.call(PlanChangeSet(proposed.id))
        assert isinstance(planned.value.problem, problem)
        assert planned.value.detail == f"{bad.type}/{bad.key}", "which of them is refused"

    assert (await own(ada), await facts(ada.org_id)) == ({}, told)


async def test_changes_that_make_no_sense_are_refused_when_they_are_proposed(propose, refused):
    for bad, field in (
        (Change("activate", "policy", "a"), "environment"),
        (Change("put", "policy", "a", content={}, environment="test"), "environment"),
        (Change("put", "policy", "a", number=1), "number"),
        (Change("remove", "policy", "a", content={}), "content"),
    ):
        problem = await refused(propose(put("rule"), bad))
        assert isinstance(problem, Invalid)
        assert problem.faults[0].pointer == f"/changes/1/{field}"


async def test_a_name_in_a_change_is_what_a_name_may_be(ada, propose, refused):
    faults = [Fault("/changes/1/name", "it shows nothing, or has control characters")]
    wrong = (put("rule", name="Rule"), put("other", name="Ru\u202ele"))

    problem = await refused(propose(*wrong))
    assert list(problem.faults) == faults
    found = await propose()
    problem = await refused(ada.call(AddChanges(found.id, wrong)))
    assert list(problem.faults) == faults
    assert await ada.call(AddChanges(found.id, (put("rule", name=""),)))


async def test_an_org_proposes_so_many_sets_and_what_ends_one_makes_room(
    ada, ben, make, propose, refused, monkeypatch
):
    monkeypatch.setattr(sets, "MAX_OPEN_SETS", 2)
    await make(put("rule"))
    waiting = [await propose(put("rule", {"n": 1})), await propose(review=True)]
    full = QuotaExceeded(quota="open_change_sets", limit=2, used=2)

    assert await refused(propose()) == full
    assert await refused(ada.call(RestoreMoment(datetime.now(UTC)))) == full
    assert await propose(client=ben)
    await ada.call(ApplyChangeSet(waiting[0].id))
    await ada.call(WithdrawChangeSet(waiting[1].id))
    at_once = await asyncio.gather(*(propose() for _ in range(6)), return_exceptions=True)

    assert [each.problem for each in at_once if isinstance(each, Refused)] == [full] * 4


async def test_a_resource_has_so_many_versions(ada, make, propose, refused, monkeypatch):
    await make(put("rule"), activate("rule"))
    monkeypatch.setattr(versions, "MAX_VERSIONS", 1)
    found = await propose(put("rule", {"n": 2}), activate("rule"))
    full = QuotaExceeded(quota="versions", limit=1, used=1)

    assert await refused(ada.call(PlanChangeSet(found.id))) == full
    assert await refused(ada.call(ApplyChangeSet(found.id))) == full
    assert await active(ada, "rule") == {"of": "rule"}
    rule = (await own(ada))["rule"]
    assert (await ada.call(PublishVersion(rule.id))).number == 1
    await ada.call(PutDraft(rule.id, rule.revision, {"n": 2}))
    assert await refused(ada.call(PublishVersion(rule.id))) == full


async def test_a_set_for_review_is_applied_once_somebody_else_approved_it(ada, propose, refused):
    author, reviewer = ada.member("member"), ada.member("member")
    proposed = await propose(put("rule"), client=author, review=True)

    waiting = ChangeSetState(reason="it waits for a review")
    assert await refused(author.call(ApplyChangeSet(proposed.id))) == waiting
    assert await refused(author.call(ReviewChangeSet(proposed.id, approve=True))) == ChangeSetState(
        reason="somebody else reviews it"
    )
    approved = await reviewer.call(ReviewChangeSet(proposed.id, approve=True, note="Good."))
    assert (approved.status, approved.review_note) == ("approved", "Good.")
    late = AddChanges(proposed.id, (put("more"),))
    assert isinstance(await refused(author.call(late)), ChangeSetState)
    assert (await author.call(ApplyChangeSet(proposed.id))).status == "applied"
    assert isinstance(await refused(author.call(ApplyChangeSet(proposed.id))), ChangeSetState)


async def test_who_approves_approves_what_was_looked_at(ada, propose, refused):
    author, reviewer = ada.member("member"), ada.member("member")
    seen = await propose(put("rule"), client=author, review=True)
    grown = await author.call(AddChanges(seen.id, (put("more"),)))

    late = ReviewChangeSet(seen.id, approve=True, size=seen.size)
    assert await refused(reviewer.call(late)) == ChangeSetState(
        reason="changes were added since it was looked at"
    )
    approved = await reviewer.call(ReviewChangeSet(seen.id, approve=True, size=grown.size))
    assert approved.status == "approved"


async def test_a_rejected_set_is_not_applied(ada, propose, refused):
    proposed = await propose(put("rule"), review=True)
    await ada.member("admin").call(ReviewChangeSet(proposed.id, approve=False))

    assert await refused(ada.call(ApplyChangeSet(proposed.id))) == ChangeSetState(reason="it is rejected")
    await ada.call(WithdrawChangeSet(proposed.id))
    assert await refused(ada.call(GetChangeSet(proposed.id))) == ChangeSetNotFound(set_id=proposed.id)


async def test_a_plan_says_what_will_happen_and_changes_nothing(ada, make, propose, facts):
    await make(put("rule", {"a": 1, "b": 2}), activate("rule"), put("old"), activate("old"))
    before, told = await export(ada), await facts(ada.org_id)
    proposed = await propose(
        put("rule", {"a": 1, "b": 3, "c": 4}, tags=("x",)),
        activate("rule"),
        put("new"),
        put("old"),
        Change("remove", "policy", "old"),
    )

    plan = await ada.call(PlanChangeSet(proposed.id))

    assert [(s.key, s.action, s.effect, s.previous, s.number) for s in plan.steps] == [
        ("rule", "put", "change", None, None),
        ("rule", "activate", "change", 1, 2),
        ("new", "put", "create", None, None),
        ("old", "put", "none", None, None),
        ("old", "remove", "delete", 1, None),
    ]
    assert (plan.steps[0].fields, plan.steps[0].differences) == (("tags",), 2)
    assert (await export(ada), await facts(ada.org_id)) == (before, told)
    assert (await ada.call(ApplyChangeSet(proposed.id, plan.digest))).status == "applied"
    assert set(await own(ada)) == {"rule", "new"}


async def test_a_plan_that_is_not_what_would_happen_any_more_is_refused(ada, make, propose, refused):
    await make(put("rule"))
    proposed = await propose(put("rule", {"n": 2}))
    plan = await ada.call(PlanChangeSet(proposed.id))
    rule = (await own(ada))["rule"]
    await ada.call(PutDraft(rule.id, rule.revision, {"n": 1}))

    problem = await refused(ada.call(ApplyChangeSet(proposed.id, plan.digest)))

    assert problem == PlanOutdated(digest=(await ada.call(PlanChangeSet(proposed.id))).digest)


async def test_an_undone_set_leaves_everything_as_it_was(ada, make, refused):
    await make(
        put("rule", {"n": 1}, tags=("a",)),
        activate("rule"),
        activate("rule", "test"),
        put("gone", visibility="private", deprecated=True, deprecation="Old."),
        activate("gone", content={"n": 0}),
    )
    before = await export(ada)
    applied = await make(
        put("rule", {"n": 2}, tags=(), name="Other"),
        activate("rule"),
        activate("rule", "staging"),
        Change("deactivate", "policy", "rule", environment="test"),
        Change("remove", "policy", "gone"),
        put("new"),
        activate("new"),
    )
    assert await export(ada) != before

    undone = await ada.call(UndoChangeSet(applied.id))

    assert (undone.status, undone.undone_by) == ("undone", ada.principal_id)
    assert await export(ada) == before
    assert isinstance(await refused(ada.call(UndoChangeSet(applied.id))), ChangeSetState)


async def test_what_was_changed_since_is_not_undone(ada, make, refused):
    await make(put("other"), put("rule"))
    applied = await make(put("rule", {"n": 2}), put("other", {"n": 2}))
    later = await make(put("rule", {"n": 3}))
    before = await export(ada)

    assert await refused(ada.call(UndoChangeSet(applied.id))) == ChangedSince(resources=("policy/rule",))
    assert await export(ada) == before
    await ada.call(UndoChangeSet(later.id))
    await ada.call(UndoChangeSet(applied.id))


async def test_what_is_in_use_is_removed_together_with_its_users_and_not_without(ada, make, propose, refused):
    await make(put("rule"), activate("rule"), put("user", {"$use": "policy/rule"}), activate("user"))
    for alone in (
        Change("remove", "policy", "rule"),
        Change("deactivate", "policy", "rule", environment="production"),
    ):
        with pytest.raises(Refused) as planned:
            await ada.call(PlanChangeSet((await propose(alone)).id))
        assert isinstance(planned.value.problem, InUse)
        assert planned.value.detail == "policy/rule", "which of them is refused"
        assert isinstance(await refused(ada.call(ApplyChangeSet((await propose(alone)).id))), InUse)

    await make(Change("remove", "policy", "rule"), Change("remove", "policy", "user"))
    assert await own(ada) == {}


async def test_private_resources_of_others_show_in_no_set_plan_or_export(ada, ben, make, propose, refused):
    owner, colleague = ada.member("member"), ada.member("member")
    secret = await make(put("secret", visibility="private"), client=owner)
    touching = await propose(put("secret", {"n": 1}), client=owner)

    assert await export(colleague) == []
    assert len(await export(owner)) == len(await export(ada)) == 1
    for hidden in (secret, touching):
        for client in (colleague, ben):
            missing = ChangeSetNotFound(set_id=hidden.id)
            assert await refused(client.call(GetChangeSet(hidden.id))) == missing
            assert await refused(client.call(ListChanges(hidden.id))) == missing
            assert await refused(client.call(UndoChangeSet(hidden.id))) == missing
            assert hidden not in (await client.call(ListChangeSets())).items
    taking = await propose(put("secret", {"mine": 1}), client=colleague)
    assert await refused(colleague.call(ApplyChangeSet(taking.id))) == ResourceNotFound(
        resource="policy/secret"
    )


async def test_sets_are_listed_newest_first_by_status(ada, make, propose):
    first, second = await make(put("a")), await propose(put("b"))

    assert [s.id for s in (await ada.call(ListChangeSets())).items] == [second.id, first.id]
    assert [s.id for s in (await ada.call(ListChangeSets(status="open"))).items] == [second.id]
    page = await ada.call(ListChangeSets(limit=1))
    assert [s.id for s in (await ada.call(ListChangeSets(limit=1, after=page.next_cursor))).items] == [
        first.id
    ]


async def test_another_org_reaches_no_set(ada, ben, propose, refused):
    proposed = await propose(put("a"))
    missing = ChangeSetNotFound(set_id=proposed.id)

    for request in (
        GetChangeSet(proposed.id), ListChanges(proposed.id), PlanChangeSet(proposed.id), ApplyChangeSet(proposed.id),
        UndoChangeSet(proposed.id), WithdrawChangeSet(proposed.id), ReviewChangeSet(proposed.id, approve=True),
        AddChanges(proposed.id, (put("b"),)), GetChangeSet(uuid4()),
    ):  # fmt: skip
        problem = await refused(ben.call(request))
        assert problem == (
            missing if request.set_id == proposed.id else ChangeSetNotFound(set_id=request.set_id)
        )


async def test_a_version_published_by_hand_is_found_again_by_its_content(ada, make):
    made = await ada.call(CreateResource(type="policy", key="rule", content={"n": 1}))
    for n in (2, 3):
        await ada.call(PublishVersion(made.id))
        await ada.call(PutDraft(made.id, revision=n - 1, content={"n": n}))
    await ada.call(Activate(made.id, "production", 2))

    await make(activate("rule", content={"n": 1}))

    assert (await ada.call(ResolveResource("policy", "rule"))).number == 1
    assert (await ada.call(GetResource(made.id))).latest == 2


async def test_sets_over_the_same_resources_in_any_order_wait_for_nobody_for_ever(ada, propose):
    names = [f"rule{n}" for n in range(6)]
    for turn in range(3):
        proposed = [
            await propose(
                *(put(name, {"by": n, "turn": turn}) for name in order), *(activate(name) for name in order)
            )
            for n, order in enumerate((names, names[::-1], names[3:] + names[:3], names[::2] + names[1::2]))
        ]
        results = await asyncio.gather(
            *(ada.call(ApplyChangeSet(s.id)) for s in proposed), return_exceptions=True
        )
        refusals = [r.problem for r in results if isinstance(r, Refused)]
        assert all(isinstance(r, ChangeSet | Refused) for r in results)
        assert all(isinstance(problem, KeyTaken) for problem in refusals)
        assert len(refusals) < len(results)
        assert len({(await active(ada, name))["by"] for name in names}) == 1


async def test_a_set_that_ends_what_another_begins_to_use_crosswise_does_not_lock_it_up(
    ada, make, database, sql
):
    """Who begins to use a resource holds on to it, and who ends it wants nobody to: neither chooses the order."""
    used, users = ["used0", "used1", "used2"], ["user0", "user1", "user2"]
    await make(
        *(part for key in used for part in (put(key), activate(key))),
        *(put(key, {"$use": f"policy/{of}"}) for key, of in zip(users, reversed(used), strict=True)),
    )

    async def made(changes):
        """As another replica makes them: in this one they would have waited before."""
        async with database.transaction([ada.org_id]) as tx:
            viewer = Viewer(ada.org_id, ada.principal_id, manages=True)
            return await engine.make(tx, viewer, changes, Pool(1), by=ada.principal_id, at=datetime.now(UTC))

    async with asyncio.TaskGroup() as tasks, database.transaction([ada.org_id]) as tx:
        # Somebody who publishes what uses the second: whoever ends it stands still there, with the first behind it.
        await tx.execute(
            "select from catalog.resources where org_id = $1 and key = 'used1' for key share", ada.org_id
        )
        for number, keys in enumerate((map(deactivate, used), map(activate, users)), 1):
            tasks.create_task(made([*keys]))
            await eventually(lambda number=number: standing(sql, number))

    assert {await active(ada, key) and key for key in users} == set(users)


async def standing(sql, number):
    query = """
        select count(*) as n from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()
    """
    return (await sql(query))[0]["n"] == number


async def test_activations_in_any_order_come_to_an_end_together(ada, make, propose):
    names = [f"rule{n}" for n in range(6)]
    await make(*map(put, names))
    resources = await own(ada)
    for turn in range(4):
        orders = (names, names[::-1], names[3:] + names[:3], names[::2] + names[1::2])
        proposed = [
            await propose(*(activate(name, content={"n": n, "turn": turn}) for name in order))
            for n, order in enumerate(orders)
        ]

        results = await asyncio.gather(
            *(ada.call(ApplyChangeSet(s.id)) for s in proposed),
            *(ada.call(PublishVersion(resources[name].id)) for name in names),
            *(ada.call(UndoChangeSet(s.id)) for s in proposed[:1]),
            return_exceptions=True,
        )

        assert [r for r in results if isinstance(r, BaseException) and not isinstance(r, Refused)] == []
        assert {type(r.problem) for r in results if isinstance(r, Refused)} <= {ChangeSetState, ChangedSince}
        assert len({(await active(ada, name))["n"] for name in names}) == 1
