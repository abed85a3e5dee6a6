"""Moments: what sets changed since is as it was, whatever became of it."""

from __future__ import annotations

from datetime import UTC, datetime

from polis.catalog.changes import moments, sets
from polis.proto.catalog import (
    Activate,
    ApplyChangeSet,
    Change,
    ChangeSetTooLarge,
    Deactivate,
    DeleteResource,
    ListMoves,
    RemovedSince,
    RestoreMoment,
    UndoChangeSet,
)
from polis.proto.problems import Forbidden
from services.catalog.tests.changing import activate, active, deactivate, export, own, put


async def test_every_environment_goes_back_to_what_it_used_at_a_moment(ada, make, refused):
    await make(put("a", {"n": 1}), activate("a"), activate("a", "staging"), put("b", {"n": 1}), activate("b"))
    moment = datetime.now(UTC)
    await make(put("a", {"n": 2}), activate("a"), put("c"), activate("c"))
    b = (await own(ada))["b"]
    await ada.call(Deactivate(b.id, "production"))
    assert isinstance(await refused(ada.member("member").call(RestoreMoment(moment))), Forbidden)

    proposed = await ada.call(RestoreMoment(moment))
    assert proposed.size == 4
    await ada.call(ApplyChangeSet(proposed.id))

    assert (await active(ada, "a"), await active(ada, "b")) == ({"n": 1}, {"n": 1})
    assert "c" not in await own(ada)
    moves = (await ada.call(ListMoves((await own(ada))["a"].id, "production"))).items
    assert [move.number for move in moves] == [1, 2, 1]
    await ada.call(UndoChangeSet(proposed.id))
    assert (await active(ada, "a"), await active(ada, "c")) == ({"n": 2}, {"of": "c"})


async def test_all_that_sets_changed_since_a_moment_is_as_it_was_then_whatever_became_of_it(ada, make):
    await make(
        put("a", {"n": 1}, name="A", tags=("x",), visibility="private"),
        activate("a"),
        put("hand", {"n": 1}),
        activate("hand"),
        put("gone", {"n": 1}, deprecated=True, deprecation="Old."),
        activate("gone", "staging", content={"n": 0}),
    )
    kept = await make(put("b", {"n": 1}), activate("b"), put("a", tags=("x", "y")))
    before, moment = await export(ada), datetime.now(UTC)
    await make(put("a", {"n": 2}, name="B", tags=(), visibility="org", deprecated=True), activate("a"))
    await make(put("gone", {"n": 2}, deprecated=False), deactivate("gone", "staging"))
    await make(Change("remove", "policy", "gone"), put("new"), activate("new"))
    await make(put("a", {"n": 3}), put("gone", {"another": 1}))
    await ada.call(Activate((await own(ada))["hand"].id, "staging", 1))
    middle = await export(ada)

    proposed = await ada.call(RestoreMoment(moment))
    assert await export(ada) == middle
    await ada.call(ApplyChangeSet(proposed.id))
    assert await export(ada) == before

    await ada.call(UndoChangeSet(proposed.id))
    assert await export(ada) == middle
    await ada.call(ApplyChangeSet((await ada.call(RestoreMoment(moment))).id))
    await ada.call(UndoChangeSet(kept.id))
    assert "b" not in await own(ada)
    await ada.call(ApplyChangeSet((await ada.call(RestoreMoment(moment))).id))
    assert await export(ada) == before


async def test_a_moment_with_what_was_deleted_since_is_restored_without_it_when_that_is_wanted(
    ada, make, refused
):
    await make(put("a"), activate("a"), put("b"), activate("b"))
    moment = datetime.now(UTC)
    there = await own(ada)
    for key in ("a", "b"):
        await ada.call(Deactivate(there[key].id, "production"))
    await ada.call(DeleteResource(there["a"].id))

    assert await refused(ada.call(RestoreMoment(moment))) == RemovedSince(resource_ids=(there["a"].id,))
    assert (await ada.call(RestoreMoment(moment, without_removed=True))).size == 1


async def test_what_is_too_much_for_a_set_is_measured_in_bytes_and_nothing_is_left_out(
    ada, make, propose, refused, monkeypatch
):
    long = {"text": "\N{EURO SIGN}" * 1000}
    await make(*(put(key, long) for key in "abc"))
    moment = datetime.now(UTC)
    await make(*(put(key) for key in "abc"))
    for module in (moments, sets):
        monkeypatch.setattr(module, "MAX_SET_BYTES", 4000)

    assert isinstance(await refused(propose(put("d", long), put("e", long))), ChangeSetTooLarge)
    assert (await propose(put("d", long))).size == 1
    assert isinstance(await refused(ada.call(RestoreMoment(moment))), ChangeSetTooLarge)
