"""Plans that are made on the first day are kept while the tables grow: what they would read then (ADR 38)."""

from __future__ import annotations

import pytest

from polis.messaging.notifications import finding
from polis.messaging.search import service as search
from polis.messaging.search import words
from polis.messaging.streams import rows as streams
from polis.testing.plans import scans


@pytest.mark.parametrize("sql", [streams._ONE, streams._THESE], ids=["one", "some"])
async def test_a_stream_is_found_by_its_id(first_day, sql):
    [(_, name, condition)] = [each async for each in scans(first_day, sql) if each[0] == "streams"]

    assert name == "streams_pkey"
    assert " id = " in condition.replace("(", " ")


async def test_whom_a_message_concerns_is_looked_for_in_its_conversation_alone(first_day):
    by = {
        "participants": "conversation_id = ",
        "messages": "conversation_id = ",
        "notification_preferences": "principal_id = ",
    }
    found = [each async for each in scans(first_day, finding._LOOK) if each[0] in by]

    assert len(found) >= 8
    assert [each for each in found if by[each[0]] not in each[2]] == []


async def test_words_are_looked_for_in_their_index_and_messages_in_the_passages_that_were_found(first_day):
    found = {name: (index, condition) async for name, index, condition in scans(first_day, search.FOUND)}

    assert found["passages"][0] == "passages_search"
    assert found["messages"][0] == "messages_pkey"
    assert "(seq >= w.first_seq) AND (seq <= w.seq)" in found["messages"][1]


async def test_what_is_not_indexed_is_looked_for_among_the_next_conversations_alone(first_day):
    found = [each async for each in scans(first_day, words.BEHIND)]

    assert ("conversations", "conversations_pkey", "(ROW(org_id, id) > ROW($1, $2))") in found
    assert {condition for name, _, condition in found if name == "indexed"} == {
        "((org_id = c.org_id) AND (conversation_id = c.conversation_id))"
    }
