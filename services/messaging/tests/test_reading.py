"""What was said is read in pages, found by words, pulled after an absence, kept as long as it is said, and taken along."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import msgspec
import pytest

from polis.messaging.keeping import retention
from polis.proto import messaging as m
from polis.proto.problems import Forbidden, Invalid, StaleCursor
from polis.testing import eventually


@pytest.fixture
async def group(person):
    ada, tom = (ada := person()), person(of=ada)
    made = await ada.call(m.CreateConversation(kind="group", participants=(tom.principal_id,)))
    return ada, tom, made.id


async def say(who, id_, *texts):
    return [(await who.call(m.PostMessage(id_, text=text))).seq for text in texts]


async def all_of(who, request):
    """Every page, one behind the other."""
    pages, after = [], None
    while True:
        page = await who.call(msgspec.structs.replace(request, after=after))
        pages.append([getattr(item, "message", item).seq for item in page.items])
        after = page.next_cursor
        if after is None:
            return pages


async def test_messages_are_read_newest_first_after_a_number_and_around_one(group, refused):
    ada, tom, id_ = group
    seqs = await say(ada, id_, *"abcdefghij")

    assert await all_of(tom, m.ListMessages(id_, limit=4)) == [seqs[:5:-1], seqs[5:1:-1], seqs[1::-1]]
    assert await all_of(tom, m.ListMessages(id_, since=seqs[3], limit=3)) == [seqs[4:7], seqs[7:]]
    assert await all_of(tom, m.ListMessages(id_, around=seqs[5], limit=4)) == [seqs[3:7], seqs[7:]]
    both = m.ListMessages(id_, around=seqs[5], since=1)
    assert isinstance(await refused(tom.call(both)), Invalid)


async def test_a_page_is_bounded_by_bytes_and_loses_none(group):
    ada, tom, id_ = group
    seqs = await say(ada, id_, *["x" * 32_000] * 20)

    pages = await all_of(tom, m.ListMessages(id_, limit=200))

    assert [seq for page in pages for seq in page] == seqs[::-1]
    assert len(pages) == 2


async def test_what_json_writes_at_length_fits_into_answers_too(group):
    """A text of control characters takes six bytes for each."""
    ada, tom, id_ = group
    seqs = await say(ada, id_, *["\x01" * 30_000] * 5)
    second = (await ada.call(m.CreateConversation(kind="group", participants=(tom.principal_id,)))).id
    await say(ada, second, *["\x01" * 30_000] * 2)

    pages = await all_of(tom, m.ListMessages(id_))
    assert [seq for page in pages for seq in page] == seqs[::-1]
    missed = await tom.call(m.PullMissed())
    known = {each.conversation.id: each.seq for each in missed.conversations}
    while missed.more:
        missed = await tom.call(m.PullMissed(missed.cursor))
        known |= {each.conversation.id: each.seq for each in missed.conversations}
    assert known == {id_: seqs[-1], second: 5}


async def test_words_find_what_one_may_see_and_nothing_that_was_edited_away_or_deleted(
    group, person, refused
):
    ada, tom, id_ = group
    eve = person(of=ada)
    other = (await eve.call(m.CreateConversation(kind="group"))).id
    one, two, three, *_ = await say(ada, id_, "Flüge nach Oslo", "flug oslo teuer", "oslo", "Bergen")
    await say(eve, other, "oslo")

    async def found(who, text, **fields):
        return [hit.message.seq for hit in (await who.call(m.SearchMessages(text=text, **fields))).items]

    async def indexed():
        return await found(tom, "oslo") == [three, two, one] and await found(eve, "oslo")

    await eventually(indexed)
    assert await found(tom, "OSL flü") == [one]
    assert await found(tom, "oslo", sender_id=tom.principal_id) == []
    assert await found(ada, "oslo", conversation_id=id_) == [three, two, one]
    assert isinstance(
        await refused(ada.call(m.SearchMessages(text="oslo", conversation_id=other))), m.ConversationNotFound
    )
    assert await all_of(tom, m.SearchMessages(text="oslo", limit=2)) == [[three, two], [one]]
    await ada.call(m.EditMessage(id_, one, text="Züge nach Rom"))
    await ada.call(m.DeleteMessage(id_, two))
    assert await found(tom, "oslo") == [three]
    assert await found(tom, "rom") == [one]


async def test_marks_only_go_on_and_what_is_unread_is_counted(group, refused, person):
    ada, tom, id_ = group
    seqs = await say(ada, id_, "a", "b", "c")
    await say(tom, id_, "mine")

    async def unread():
        return [(c.read_seq, c.unread) for c in (await tom.call(m.ListConversations())).items]

    assert await unread() == [(0, 3)]
    await tom.call(m.MarkConversation(id_, read_seq=seqs[1], delivered_seq=10_000))
    mark = await tom.call(m.MarkConversation(id_, read_seq=1))
    assert (mark.read_seq, mark.delivered_seq) == (seqs[1], seqs[2] + 1)
    assert await unread() == [(seqs[1], 1)]
    assert {k.principal_id: k.read_seq for k in (await ada.call(m.ListMarks(id_))).items} == {
        ada.principal_id: 0,
        tom.principal_id: seqs[1],
    }
    stranger = person(of=ada)
    assert isinstance(
        await refused(stranger.call(m.MarkConversation(id_, read_seq=1))), m.ConversationNotFound
    )


async def test_a_draft_is_ones_own(group, refused):
    ada, tom, id_ = group
    await ada.call(m.KeepMessageDraft(id_, text="Dear"))
    await ada.call(m.KeepMessageDraft(id_, text="Dear Tom", reply_to=3))

    assert (await ada.call(m.GetMessageDraft(id_))).text == "Dear Tom"
    missing = m.MessageDraftNotFound(id_)
    assert await refused(tom.call(m.GetMessageDraft(id_))) == missing
    await ada.call(m.DropMessageDraft(id_))
    assert await refused(ada.call(m.GetMessageDraft(id_))) == missing


async def test_a_device_pulls_what_it_missed_in_all_conversations_behind_its_cursor(group, refused):
    ada, tom, id_ = group
    left = (await ada.call(m.CreateConversation(kind="group", participants=(tom.principal_id,)))).id
    new = (await ada.call(m.OpenDirect(tom.principal_id))).id
    first = await tom.call(m.PullMissed())
    known = {each.conversation.id: each.seq for each in first.conversations}
    assert set(known) == {id_, left, new}
    assert not first.more
    seqs = await say(ada, id_, "a", "b")
    await ada.call(m.RemoveParticipant(left, tom.principal_id))

    missed = await tom.call(m.PullMissed(first.cursor))

    [only] = missed.conversations
    assert (only.conversation.id, [entry.seq for entry in only.entries]) == (id_, seqs)
    assert missed.gone == (left,)
    after = await tom.call(m.PullMissed(missed.cursor))
    assert (after.conversations, after.gone, after.more) == ((), (), False)
    mistyped = ("A" if missed.cursor[0] != "A" else "B") + missed.cursor[1:]
    assert await refused(tom.call(m.PullMissed(mistyped))) == StaleCursor()


async def test_what_is_kept_no_longer_goes_and_numbers_go_on(group, running, refused):
    ada, tom, id_ = group
    old = await say(ada, id_, "old", "older")
    await ada.call(m.ChangeConversation(id_, retention_days=30))
    database = running.kernel.database
    async with database.transaction([ada.org_id]) as tx:
        await tx.execute(
            "update messaging.messages set sent_at = sent_at - interval '31 days' where org_id = $1 and seq = any($2)",
            ada.org_id,
            old,
        )
    [new] = await say(ada, id_, "new")

    assert await retention.sweep(database, datetime.now(UTC) - timedelta(days=2), 0) == 0
    assert await retention.sweep(database, datetime.now(UTC), 0) == 1

    assert await all_of(tom, m.ListMessages(id_)) == [[new]]
    snapshot = await tom.call(m.WatchConversation(id_, after=old[0]))
    assert (snapshot.recovered, snapshot.conversation.kept_from, snapshot.seq) == (False, new, new)
    assert (await tom.call(m.WatchConversation(id_, after=new - 1))).recovered


@pytest.fixture
async def kept_for_a_month(group, running):
    """A conversation, what was said too long ago there and edited since, and what is left of that."""
    ada, _, id_ = group
    database = running.kernel.database
    old = await say(ada, id_, "old", "older", "oldest")
    for n, seq in enumerate(3 * old[:1] + old):
        await ada.call(m.EditMessage(id_, seq, text=f"{n}"))
    await ada.call(m.ChangeConversation(id_, retention_days=30))
    async with database.transaction([ada.org_id]) as tx:
        await tx.execute(
            "update messaging.messages set sent_at = sent_at - interval '31 days' where org_id = $1 and seq = any($2)",
            ada.org_id,
            old,
        )

    async def left():
        async with database.transaction([ada.org_id]) as tx:
            return [
                await tx.value(f"select count(*) from messaging.{table} t where t.seq = any($1)", old)
                for table in ("messages", "revisions", "passages")
            ]

    return database, left


async def test_all_goes_that_is_said_of_what_is_kept_no_longer_however_much_that_is(
    kept_for_a_month, monkeypatch
):
    database, left = kept_for_a_month
    monkeypatch.setattr(retention, "_BATCH", 2)

    await retention.sweep(database, datetime.now(UTC), 0)

    assert await left() == [0, 0, 0]


async def test_what_a_sweep_has_left_that_did_not_come_to_its_end_goes_with_the_next(
    kept_for_a_month, monkeypatch
):
    """A database that fails, or a process that dies: nothing younger has to be too old before."""
    database, left = kept_for_a_month
    with monkeypatch.context() as patched:
        patched.setattr(retention, "_DELETIONS", (retention._DELETIONS[0], "broken"))
        with pytest.raises(asyncpg.PostgresSyntaxError):
            await retention.sweep(database, datetime.now(UTC), 0)

    assert await retention.sweep(database, datetime.now(UTC), 0) == 1

    assert await left() == [0, 0, 0]
    assert await retention.sweep(database, datetime.now(UTC), 0) == 0


async def test_a_conversation_is_exported_whole_by_who_manages_it(stage, group, refused):
    ada, tom, id_ = group
    await asyncio.gather(*(say(tom, id_, f"{n}") for n in range(210)))
    caller = await stage.caller()

    async def export(who):
        return [entry async for entry in caller.stream(m.ExportConversation(id_), token=who.token)]

    entries = await export(ada)

    assert [entry.seq for entry in entries] == list(range(1, 214))
    assert {entry.message.text for entry in entries[3:]} == {f"{n}" for n in range(210)}
    assert isinstance(await refused(export(tom)), Forbidden)
