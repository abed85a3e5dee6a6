"""Words are indexed by passages: who looks finds the messages that say them, whatever else happens to these meanwhile."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from unicodedata import normalize
from uuid import UUID

import asyncpg
import msgspec
import pytest

from polis.messaging.keeping import retention
from polis.messaging.search import service, words
from polis.proto import messaging as m
from polis.testing import eventually

ORG, CONVERSATION, ADA = UUID(int=1), UUID(int=2), UUID(int=3)


async def pages(who, text, **fields):
    """What is found, page by page."""
    wanted, after = m.SearchMessages(text, **fields), None
    while True:
        page = await who.call(msgspec.structs.replace(wanted, after=after))
        yield [(hit.message.conversation_id, hit.message.seq) for hit in page.items]
        after = page.next_cursor
        if after is None:
            return


async def find(who, text, **fields):
    """What is found, in its order, however small the pages are."""
    return [hit async for page in pages(who, text, limit=3, **fields) for hit in page]


@pytest.fixture
async def talks(person):
    """Somebody, a colleague, and what they say at the same moment in three conversations: texts by conversation and number."""
    ada = person()
    tom = person(of=ada)
    ids = [
        (await ada.call(m.CreateConversation(kind="group", participants=(tom.principal_id,)))).id
        for _ in range(3)
    ]
    said = {}

    async def say(n):
        text = " ".join(
            word
            for every, word in ((2, "even"), (3, "third!"), (7, "seven-fold"), (40, "rare"))
            if n % every == 0
        )
        posted = await (ada, tom)[n % 2].call(m.PostMessage(ids[n % 3], text=f"Number {n}: {text}."))
        said[ids[n % 3], posted.seq] = n, posted.sent_at

    for begin in range(0, 240, 60):
        await asyncio.gather(*(say(n) for n in range(begin, begin + 60)))
    await eventually(lambda: found_in_all(ada, ids))
    return ada, tom, said


async def found_in_all(who, ids):
    found = [len(await find(who, "number", conversation_id=each)) for each in ids]
    return found == [80, 80, 80]


async def test_every_message_that_says_all_of_it_is_found_newest_first(talks):
    ada, tom, said = talks

    def expected(which):
        chosen = [(sent_at, id_, -seq) for (id_, seq), (n, sent_at) in said.items() if which(n, sent_at)]
        return [(id_, -seq) for _, id_, seq in sorted(chosen, reverse=True)]

    middle = sorted(sent_at for _, sent_at in said.values())[120]
    assert await find(ada, "number") == expected(lambda n, at: True)
    assert await find(ada, "EVEN sev fold") == expected(lambda n, at: n % 14 == 0)
    assert await find(ada, "third, rare") == expected(lambda n, at: n % 120 == 0)
    assert await find(ada, "rare 41") == []
    assert await find(ada, "even", sender_id=tom.principal_id) == []
    assert await find(ada, "third", sender_id=tom.principal_id) == expected(lambda n, at: n % 6 == 3)
    assert await find(ada, "seven", since=middle) == expected(lambda n, at: n % 7 == 0 and at >= middle)
    assert await find(ada, "seven", until=middle) == expected(lambda n, at: n % 7 == 0 and at < middle)


async def test_no_page_goes_through_more_than_enough_and_together_they_go_through_all(talks, monkeypatch):
    ada, tom, _ = talks
    expected = await find(ada, "number")
    monkeypatch.setattr(service, "_ENOUGH_PASSAGES", 1)

    in_vain = [page async for page in pages(ada, "even", limit=3, sender_id=tom.principal_id)]

    assert await find(ada, "number") == expected
    assert len(in_vain) > 1
    assert not any(in_vain)


async def test_of_a_passage_only_what_was_edited_or_deleted_is_found_otherwise(talks):
    ada, _, said = talks
    numbers = {n: where for where, (n, _) in said.items()}

    await ada.call(m.EditMessage(*numbers[40], text="unheard-of"))
    await ada.call(m.DeleteMessage(*numbers[80]))

    assert set(await find(ada, "rare")) == {numbers[n] for n in (0, 120, 160, 200)}
    assert await find(ada, "heard unheard of") == []
    assert await find(ada, "unheard of") == [numbers[40]]
    assert len(await find(ada, "number")) == 238


async def test_of_a_passage_nothing_is_left_of_what_is_kept_no_longer(talks, running):
    ada, _, said = talks
    database = running.kernel.database
    id_, _ = next(iter(said))
    goes = sorted(seq for where, seq in said if where == id_)[:25]
    async with database.transaction([ada.org_id]) as tx:
        await tx.execute(
            "update messaging.messages set sent_at = sent_at - interval '31 days' where conversation_id = $1 and seq = any($2)",
            id_,
            goes,
        )
    await ada.call(m.ChangeConversation(id_, retention_days=30))

    assert await retention.sweep(database, datetime.now(UTC), 0) == 1

    left = {seq: n for (where, seq), (n, _) in said.items() if where == id_ and seq > goes[-1]}
    async with database.across_orgs() as tx:
        indexed = await tx.value(
            """
            select array_agg(w) from messaging.passages p, unnest(tsvector_to_array(p.search)) w
            where p.conversation_id = $1 and w ~ '^[0-9]+$'
            """,
            id_,
        )
    assert sorted(map(int, indexed)) == sorted(left.values())
    assert {seq for _, seq in await find(ada, "number", conversation_id=id_)} == set(left)


async def test_a_word_that_no_index_takes_keeps_no_other_from_being_found(person):
    ada = person()
    id_ = (await ada.call(m.CreateConversation(kind="group"))).id
    texts = ("x" * 3_000 + " behind", "Ⱥ" * 900 + " wide", "the last")
    seqs = [(await ada.call(m.PostMessage(id_, text=text))).seq for text in texts]

    async def found():
        return await find(ada, "last")

    assert await eventually(found) == [(id_, seqs[2])]
    assert await find(ada, "behind") == [(id_, seqs[0])]
    assert await find(ada, "wide") == [(id_, seqs[1])]


@pytest.mark.parametrize(
    "text", ["हिन्दी में", "สวัสดี", "שָׁלוֹם", "ΟΔΟΣ", "İstanbul", "½ π²", "Straße", "日本語", "naïve"]
)
async def test_what_somebody_says_is_found_by_the_same_words_in_any_writing(person, text):
    ada = person()
    id_ = (await ada.call(m.CreateConversation(kind="group"))).id
    posted = await ada.call(m.PostMessage(id_, text=f"{text} 🙂"))
    await ada.call(m.PostMessage(id_, text="something else"))

    await eventually(lambda: find(ada, "something"))

    assert await find(ada, text) == [(id_, posted.seq)]


@pytest.mark.parametrize("word", ["naïve", "Ångström", "Việt", "한국어", "פּוֹעֵל", "क़लम"])
@pytest.mark.parametrize(("said_as", "asked_as"), [("NFC", "NFD"), ("NFD", "NFC"), ("NFD", "NFD")])
async def test_what_looks_the_same_is_found_and_shown_as_it_was_said(person, word, said_as, asked_as):
    ada = person()
    id_ = (await ada.call(m.CreateConversation(kind="group"))).id
    text = f"plain {normalize(said_as, word)} 🙂"
    posted = await ada.call(m.PostMessage(id_, text=text))
    edited = await ada.call(m.PostMessage(id_, text="something else"))
    await eventually(lambda: find(ada, "something"))
    await ada.call(m.EditMessage(id_, edited.seq, text=f"again {text}"))

    asked = normalize(asked_as, word)

    assert await find(ada, asked) == [(id_, edited.seq), (id_, posted.seq)]
    beginning = normalize(asked_as, word[:-1])
    assert await find(ada, f"again {beginning}") == [(id_, edited.seq)]
    page = await ada.call(m.SearchMessages(asked))
    assert [found.message.text for found in page.items] == [f"again {text}", text]


async def test_words_that_are_longer_composed_keep_no_other_from_being_found(person):
    """Of a text that is short enough to hold none that no index takes."""
    ada = person()
    id_ = (await ada.call(m.CreateConversation(kind="group"))).id
    texts = ("\ufb2c" * 333, "\u0344" * 499, "\U0001d160" * 249, "last")
    seqs = [(await ada.call(m.PostMessage(id_, text=text))).seq for text in texts]

    await eventually(lambda: find(ada, "last"))

    assert await find(ada, "\ufb2c" * 20) == [(id_, seqs[0])]


async def test_who_takes_part_no_more_finds_what_everybody_may_read_and_nothing_when_banned(person, refused):
    ada = person()
    tom = person(of=ada)
    group = (await ada.call(m.CreateConversation(kind="group", participants=(tom.principal_id,)))).id
    channel = (
        await ada.call(
            m.CreateConversation(
                kind="channel", name="all", visibility="org", participants=(tom.principal_id,)
            )
        )
    ).id
    posted = {id_: (await ada.call(m.PostMessage(id_, text="gate oslo"))).seq for id_ in (group, channel)}
    await eventually(lambda: find(tom, "oslo", conversation_id=group))
    await eventually(lambda: find(tom, "oslo", conversation_id=channel))

    for id_ in (group, channel):
        await tom.call(m.LeaveConversation(id_))

    assert await find(tom, "oslo") == []
    assert await find(tom, "oslo", conversation_id=channel) == [(channel, posted[channel])]
    await ada.call(m.BanParticipant(channel, tom.principal_id))
    for id_ in (group, channel):
        problem = await refused(tom.call(m.SearchMessages("oslo", conversation_id=id_)))
        assert isinstance(problem, m.ConversationNotFound)
    assert await find(tom, "oslo") == []
    assert set(await find(ada, "oslo")) == set(posted.items())


async def test_pages_that_hold_fewer_for_their_bytes_go_on(person):
    ada = person()
    id_ = (await ada.call(m.CreateConversation(kind="group"))).id
    said = [await ada.call(m.PostMessage(id_, text=f"long {n} " + "x" * 15_000)) for n in range(40)]

    await eventually(lambda: find(ada, "long 39"))

    for limit in (25, 26, 39, 40, 50):
        found = [hit async for page in pages(ada, "long", limit=limit) for hit in page]
        assert found == [(id_, each.seq) for each in reversed(said)]


async def test_what_a_process_left_behind_is_indexed_by_the_next_one_and_in_time_by_any(
    person, running, monkeypatch
):
    """Its conversations are the last of the table and more than are looked at in one go."""
    monkeypatch.setattr(words, "_LOOKED_AT", 2)
    ada, database = person(), running.kernel.database
    ids = [(await ada.call(m.CreateConversation(kind="group"))).id for _ in range(5)]
    indexer = words.Indexer(database)

    async def leave_behind(text):
        for id_ in ids:
            async with database.transaction([ada.org_id]) as tx:
                await tx.execute(
                    """
                    with moved as (
                        update messaging.conversations set head_seq = head_seq + 1 where org_id = $1 and id = $2
                        returning org_id, id, head_seq
                    )
                    insert into messaging.messages (org_id, conversation_id, seq, sender_id, sent_at, text, size)
                    select org_id, id, head_seq, $3, now(), $4, 100 from moved
                    """,
                    ada.org_id,
                    id_,
                    ada.principal_id,
                    text,
                )

    await leave_behind("started")
    await indexer._turn()
    assert {id_ for id_, _ in await find(ada, "started")} == set(ids)

    await leave_behind("walked")
    async with database.across_orgs() as tx:
        conversations = await tx.value("select count(*) from messaging.conversations")
    for _ in range(conversations // 2 + 2):
        indexer._look_at = 0.0
        await indexer._turn()
    assert {id_ for id_, _ in await find(ada, "walked")} == set(ids)


@pytest.fixture
async def two(postgres):
    """Two connections to a database with one conversation in it, of which nothing is indexed, and a third that looks on."""
    async with postgres.database() as database:
        connections = [await asyncpg.connect(database.admin_url) for _ in range(3)]
        await connections[0].execute(
            f"""
            insert into messaging.conversations
                (org_id, id, kind, name, topic, visibility, data_class, created_by, responsible_id, created_at, head_seq, last_at)
            values ('{ORG}', '{CONVERSATION}', 'group', '', '', 'private', 'internal', '{ADA}', '{ADA}', now(), 40, now());
            insert into messaging.messages (org_id, conversation_id, seq, sender_id, sent_at, text, size)
            select '{ORG}', '{CONVERSATION}', n, '{ADA}', now(), 'word' || n, 100 from generate_series(1, 40) n
            """
        )
        yield connections
        for connection in connections:
            await connection.close()


async def index(connection, most=256):
    return await connection.fetchval("select messaging.index_words($1, $2, $3)", [ORG], [CONVERSATION], most)


async def edit(connection, seq, text):
    await connection.execute("update messaging.messages set text = $2 where seq = $1", seq, text)
    await connection.execute("select messaging.reword($1, $2, $3)", ORG, CONVERSATION, seq)


async def passages(connection):
    return [
        (row["first_seq"], row["seq"], set(row["words"]) - {f" {CONVERSATION}"})
        for row in await connection.fetch(
            "select first_seq, seq, tsvector_to_array(search) as words from messaging.passages order by seq"
        )
    ]


async def meanwhile(first, second, third, begun, then):
    """Do one thing in a transaction, another one on the second connection, which has to wait, and commit."""
    async with first.transaction():
        await begun
        waiting = asyncio.create_task(then)
        pid = second.get_server_pid()
        await eventually(
            lambda: third.fetchval(
                "select true from pg_stat_activity where pid = $1 and wait_event_type = 'Lock'", pid
            )
        )
    return await waiting


def word(*numbers):
    return {f"word{n}" for n in numbers}


async def test_messages_that_follow_each_other_share_a_passage(two):
    first, *_ = two

    assert await index(first, 32) == [1]
    assert await index(first, 32) is None
    assert await index(first, 32) is None

    assert await passages(first) == [
        (1, 16, word(*range(1, 17))),
        (17, 32, word(*range(17, 33))),
        (33, 40, word(*range(33, 41))),
    ]


async def test_two_processes_index_nothing_twice(two):
    first, second, third = two

    await meanwhile(first, second, third, index(first), index(second))

    assert [(begin, end) for begin, end, _ in await passages(first)] == [(1, 16), (17, 32), (33, 40)]


async def test_an_edit_waits_for_who_indexes_what_it_said_before(two):
    first, second, third = two

    async def edited():
        async with second.transaction():
            await edit(second, 5, "new")

    await meanwhile(first, second, third, index(first), edited())

    assert (await passages(first))[0][2] == word(*range(1, 17)) - word(5) | {"new"}


async def test_who_indexes_waits_for_an_edit_and_reads_what_it_says_now(two):
    first, second, third = two

    await meanwhile(first, second, third, edit(first, 40, "new"), index(second))

    assert (await passages(first))[2] == (33, 40, word(*range(33, 40)) | {"new"})
    assert len(await passages(first)) == 3


async def test_no_passage_holds_more_words_than_an_index_takes(two):
    """A mebibyte: each message alone has less, in lower case too."""
    first, *_ = two
    await first.execute(
        "update messaging.messages set text = "
        "(select string_agg(repeat('Ⱥ', 12) || 'x' || seq || 'x' || k, ' ') from generate_series(1, 1650) k)"
    )

    await index(first)

    found = await passages(first)
    assert [begin for begin, _, _ in found[1:]] == [end + 1 for _, end, _ in found[:-1]]
    assert sum(len(words) for _, _, words in found) == 40 * 1_650
