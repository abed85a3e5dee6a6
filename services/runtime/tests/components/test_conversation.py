"""What a run says in a conversation is said once, and as its readers let it be said."""

from __future__ import annotations

from uuid import UUID

import pytest

from polis.proto import Page, Refused
from polis.proto import messaging as m
from polis.runtime.component import StepFailed

HERE = "0190d3c4-1c2f-7a53-8a3e-2f6b7d1f0c11"
RUN = "0190d3c4-1c2f-7a53-8a3e-2f6b7d1f0c22"
ASKED = {"conversation_id": HERE, "seq": 7, "thread": None, "text": "Hello"}
STREAM = UUID(int=5)
LEASE_S = 15.0


class Played:
    """Messaging, as far as one stream goes: it takes at most `takes` characters of a piece, and plays what happens at an offset."""

    def __init__(self, within, *, at=0, takes=100, happens=None):
        self.text = "x" * at
        self.takes = takes
        self.happens = dict(happens or {})
        self.state = "open"
        self.paused = 0
        self.requests = within.calls
        self.waits = []
        within.call = self.call

    async def call(self, request, *, key, timeout_s=None):
        self.requests.append((request, key))
        self.waits.append(timeout_s)
        match request:
            case m.ContinueStream(at=at, text=text) if self.state == "open":
                assert at == len(self.text)
                self.text += text[: self.takes]
                if self.happens and len(self.text) >= min(self.happens):
                    self.state = self.happens.pop(min(self.happens))
            case m.ContinueStream() if self.state == "paused":
                self.paused += 1
                self.state = "open" if self.paused >= 2 else "paused"
            case m.EndStream(at=at) if self.state == "open":
                if at > len(self.text):
                    failure = StepFailed("messaging.stream_incomplete", "")
                    failure.__cause__ = Refused(m.StreamIncomplete(STREAM, len(self.text)))
                    raise failure
                self.state = "complete"
        length, seq = len(self.text), 9 if self.state not in ("open", "paused") else None
        return m.StreamStatus(STREAM, self.state, length, length, LEASE_S, message_seq=seq)


@pytest.fixture
def say(run, within):
    """Have a component say something, under the key of a step."""

    async def say(key, text, **config):
        ports = [{"message": ASKED, "in": text}]
        return await run(key, ports=ports, within=within, named=f"{RUN}/say/0", **config)

    return say


async def test_a_reply_is_named_by_its_step_and_linked_to_what_it_answers(say, within):
    within.answer = m.Posted(UUID(HERE), 8, None)

    step = await say("conversation.reply", {"text": "Hi", "attributes": {"mood": "calm"}}, in_thread=True)

    ((request, key),) = within.calls
    assert (request.client_id, key) == (f"{RUN}/say/0", "")
    assert (request.reply_to, request.thread, request.text) == (7, 7, "Hi")
    assert step.out() == [{"conversation_id": HERE, "seq": 8}]


async def test_what_is_read_says_which_is_ones_own_and_ends_with_the_message(run, within):
    said = [
        m.Message(UUID(HERE), n, UUID(within.me) if n % 2 else UUID(int=1), None, f"{n}") for n in (9, 7, 6)
    ]
    within.answer = Page(tuple(said))

    step = await run("conversation.read", ASKED, within=within, limit=3)

    (read,) = step.out()
    assert [(each["text"], each["mine"]) for each in read["messages"]] == [("6", False), ("7", True)]


async def test_a_stream_says_all_of_it_in_order_whatever_is_taken_at_a_time(say, within):
    played = Played(within, takes=3)

    step = await say("conversation.stream", "one two  three\nfour", by="word", pace_ms=1)

    assert played.text == "one two  three\nfour"
    assert step.out() == [{"conversation_id": HERE, "state": "complete", "shown": 19, "seq": 9}]
    begun = within.calls[0][0]
    assert (begun.client_id, str(begun.run_id), begun.reply_to) == (f"{RUN}/say/0", RUN, 7)


async def test_an_attempt_after_a_crash_goes_on_behind_what_was_taken(say, within):
    played = Played(within, at=4)

    await say("conversation.stream", ["one ", "two"])

    assert played.text == "xxxxtwo"


async def test_a_lost_call_is_made_again_before_the_stream_is_taken_to_be_lost(say, within):
    """Who dies with a call in its hands never answers it."""
    played = Played(within)

    await say("conversation.stream", ["one ", "two"])

    assert len(played.waits) > 2
    assert all(wait is not None and wait * 2 < LEASE_S for wait in played.waits)


async def test_a_pause_is_waited_for_and_nothing_is_lost(say, within):
    played = Played(within, takes=4, happens={4: "paused"})

    step = await say("conversation.stream", "one two three")

    assert (played.text, played.paused) == ("one two three", 2)
    assert step.out()[0]["state"] == "complete"


async def test_who_is_preempted_says_no_more(say, within):
    played = Played(within, takes=4, happens={4: "preempted"})

    step = await say("conversation.stream", ["one ", "two ", "three"], pace_ms=60)

    assert played.text == "one "
    assert not any(isinstance(request, m.EndStream) for request, _ in within.calls)
    assert (step.out()[0]["state"], step.out()[0]["shown"]) == ("preempted", 4)


@pytest.mark.parametrize(
    ("said", "kind"), [("x" * 32_769, "too_long"), (" \n", "no_text"), ([" "], "no_text")]
)
async def test_what_cannot_be_a_message_is_refused_before_anything_is_said(say, within, said, kind):
    with pytest.raises(StepFailed) as caught:
        await say("conversation.stream", said)

    assert (caught.value.kind, within.calls) == (f"conversation.{kind}", [])
