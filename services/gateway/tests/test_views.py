"""Views: which changes are told, with which fields, in which way of writing; and what is left out still counts."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from uuid import UUID

import msgspec
from msgspec import Raw

from polis.gateway.codecs import JSON_FRAMES, MSGPACK_FRAMES
from polis.gateway.heard import heard
from polis.gateway.sieve import TOLD_EVERY, Sieve
from polis.gateway.views import StreamView, View
from polis.proto.messaging import ConversationChange, Entry, Message, Participant, Typing
from polis.proto.runtime import LogLine, RunLogChange, Transition

ID, NOW = UUID(int=7), datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TOPIC = f"conversation/{ID}"


def posted(seq, text="hällo", attributes=None):
    message = Message(
        conversation_id=ID, seq=seq, sender_id=ID, sent_at=NOW, text=text, attributes=attributes or {}
    )
    return ConversationChange(seq, entry=Entry(seq, NOW, "posted", ID, message=message))


def typing(seq):
    return ConversationChange(seq, typing=Typing(ID, NOW))


def payload(frame):
    """Of a frame of less than 64 KiB."""
    size = frame[1]
    return frame[2:] if size < 126 else frame[4:]


def test_only_the_kinds_that_were_asked_for_are_told_and_their_number_is_past_the_rest():
    view = View(JSON_FRAMES, kinds=("typing",))

    frame = msgspec.json.decode(payload(view.events(TOPIC, 4, [posted(3), posted(4), typing(4)])))

    assert (frame["op"], frame["topic"], frame["seq"]) == ("events", TOPIC, 4)
    assert [change["typing"]["principal_id"] for change in frame["data"]] == [str(ID)]
    assert Sieve(kinds=("succeeded",)).chosen([Transition(1, 0, "succeeded"), Transition(2, 0, "x")])


def test_a_line_of_a_runs_log_is_of_a_kind_of_its_own():
    line = LogLine(number=1, at=NOW, step="say", item="-", level="error", message="no", value={"n": 1})
    things = [RunLogChange(4, line), Transition(5, 0, "succeeded")]
    lines = View(JSON_FRAMES, kinds=("log",), fields=("log.level", "log.value"))

    frame = msgspec.json.decode(payload(lines.events(f"run/{ID}", 5, things)))

    assert frame["data"] == [{"seq": 4, "log": {"level": "error", "value": {"n": 1}}}]
    assert not View(JSON_FRAMES, kinds=("step",)).events(f"run/{ID}", 4, things[:1])
    assert not View(JSON_FRAMES).events(f"run/{ID}", 4, things[:1])
    streamed = StreamView("transition", ("log", "succeeded")).events(f"run/{ID}", 5, things).decode()
    assert [one for one in streamed.split("\n") if one.startswith("event")] == [
        "event: log",
        "event: transition",
    ]


def test_where_nothing_is_told_an_empty_frame_tells_the_number_now_and_then():
    view = View(JSON_FRAMES, kinds=("typing",))

    told = [frame for n in range(1, 3 * TOLD_EVERY) if (frame := view.events(TOPIC, n, [posted(n)]))]

    assert [msgspec.json.decode(payload(frame))["seq"] for frame in told] == [TOLD_EVERY, 2 * TOLD_EVERY]
    assert all(msgspec.json.decode(payload(frame))["data"] == [] for frame in told)


def test_of_a_change_the_fields_that_were_asked_for_are_told_and_its_number():
    sieve = Sieve(fields=("entry.message.text", "entry.kind", "entry.nothing", "mark"))

    (change,) = sieve.chosen([posted(3)])

    assert change == {"seq": 3, "entry": {"kind": "posted", "message": {"text": "hällo"}}, "mark": None}
    assert Sieve(fields=("entry.kind", "entry")).chosen([posted(3)])[0]["entry"]["seq"] == 3


def test_what_was_heard_is_told_in_the_bytes_in_which_it_came_and_chosen_like_any_change():
    someone = Participant(ID, "user", "member", "left", NOW, ID)
    changes = [
        posted(3),
        ConversationChange(4, entry=Entry(4, NOW, "participant", ID, participant=someone)),
    ]
    came = [heard(Raw(msgspec.json.encode(change.entry))) for change in changes]

    for view in (
        View(JSON_FRAMES),
        View(MSGPACK_FRAMES),
        View(JSON_FRAMES, ("participant",), ("entry.kind",)),
    ):
        assert view.events(TOPIC, 4, came) == view.events(TOPIC, 4, changes)
    assert StreamView("entry").events(TOPIC, 4, came) == StreamView("entry").events(TOPIC, 4, changes)
    assert (came[1].actor_id, came[1].participant) == (ID, someone)


def test_equal_views_make_equal_frames_and_messagepack_says_what_json_says():
    one, other = (View(JSON_FRAMES, ("posted",), ("entry.at",)) for _ in range(2))
    binary = View(MSGPACK_FRAMES, ("posted",), ("entry.at",))

    assert one == other
    assert hash(one) == hash(other)
    assert binary != one
    said = [msgspec.json.decode(payload(one.events(TOPIC, 3, [posted(3)])))]
    said.append(msgspec.msgpack.decode(payload(binary.events(TOPIC, 3, [posted(3)]))))
    assert said[0] == said[1]


def test_numbers_that_messagepack_has_none_of_are_told_as_readers_of_json_take_them():
    known = {"most": 2**64 - 1, "least": -(2**63), "yes": True}
    change = posted(
        3, attributes={"large": 2**64, "deep": [{"small": -(2**63) - 1}], "huge": 10**400} | known
    )

    frame = msgspec.msgpack.decode(payload(View(MSGPACK_FRAMES).events(TOPIC, 3, [change])))

    told = frame["data"][0]["entry"]["message"]["attributes"]
    assert told == {"large": 2.0**64, "deep": [{"small": -(2.0**63)}], "huge": math.inf} | known


def test_a_stream_of_events_tells_a_number_alone_where_nothing_of_it_was_asked_for():
    view = StreamView("change", kinds=("typing",))

    assert view.events(TOPIC, 3, [posted(3)]) == b""
    assert view.events(TOPIC, TOLD_EVERY, [posted(TOLD_EVERY)]) == b"id: %d\n\n" % TOLD_EVERY
    assert view.events(TOPIC, 3, [typing(3)]).startswith(b"id: 3\nevent: change\ndata: {")
