"""What a topic never tells is refused where it is asked for, by both ways of following."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import aiohttp
import pytest

from polis.gateway import wishes
from polis.gateway.sieve import kind_of
from polis.proto import Refused
from polis.proto.live import TOPICS, Subscribe
from polis.proto.messaging import ConversationChange, ParticipationChange, Presence, PresenceChange, Typing
from polis.proto.runtime import InboxChange, LogLine, RunLogChange, Step, Transition

ID, NOW = UUID(int=7), datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CONVERSATION = f"conversation/{ID}"


@pytest.mark.parametrize(
    ("topic", "wish", "pointer", "known"),
    [
        ("presence", {"kinds": ("presnce",)}, "/kinds/0", "presence"),
        ("asks", {"kinds": ("left", "asks")}, "/kinds/1", "ask"),
        ("conversations", {"kinds": ("posted",)}, "/kinds/0", "participation"),
        ("org", {"kinds": ("run_started",)}, "/kinds/0", "runtime.run_started"),
        ("org", {"kinds": ("messaging.message_posted",)}, "/kinds/0", "messaging.announced"),
        ("agent/sarah", {"kinds": ("messaging.announced",)}, "/kinds/0", "runtime.run_slow"),
        (f"run/{ID}", {"kinds": ("step", "success")}, "/kinds/1", "succeeded"),
        (CONVERSATION, {"kinds": ("entry",)}, "/kinds/0", "posted"),
        (CONVERSATION, {"fields": ("mark", "entry.massage.text")}, "/fields/1", "entry.message"),
        (CONVERSATION, {"fields": ("entry.control.control.why",)}, "/fields/0", "entry.control.control.reason"),
        ("org", {"fields": ("dada",)}, "/fields/0", "data"),
    ],
)  # fmt: skip
def test_an_unknown_wish_is_refused_by_its_place_with_what_there_is_instead(topic, wish, pointer, known):
    with pytest.raises(Refused) as caught:
        wishes.demand_known(Subscribe(topic, **wish))

    (fault,) = caught.value.problem.faults
    assert fault.pointer == pointer
    assert known in fault.detail.removeprefix("Expected one of ").split(", ")


@pytest.mark.parametrize(
    ("topic", "fields"),
    [
        (f"run/{ID}", ("seq", "state", "step.error", "error.message", "log.message", "log.value.n")),
        (CONVERSATION, ("entry.control.control.kind", "entry.message.parts", "stream.text")),
        (CONVERSATION, ("entry.message.attributes.mood", "entry.message.parts.kind", "entry.at.year")),
        ("org", ("kind", "data.agent_id", "data.what.ever")),
        ("weather/today", ("rain",)),
    ],
)
def test_what_there_is_or_may_be_can_be_asked_for(topic, fields):
    wishes.demand_known(Subscribe(topic, fields=fields))


def test_every_kind_by_which_changes_are_sifted_can_be_asked_for():
    typing = Typing(ID, NOW)
    changes = {
        "run/<id>": [
            Transition(1, 0, "running"),
            Transition(2, 0, "running", step=Step("note", "log", "Note", "processing", "running")),
            RunLogChange(2, LogLine(1, NOW, "note", "-", "info", "noted")),
        ],
        "conversation/<id>": [ConversationChange(1, typing=typing)],
        "conversations": [ParticipationChange(1, left=ID)],
        "asks": [InboxChange(1, left=ID)],
        "presence": [PresenceChange(1, Presence(ID, "away", NOW))],
    }
    known = {topic.name: wishes.kinds_of(topic) for topic in TOPICS}

    assert all(known.values())
    for name, told in changes.items():
        assert {kind_of(change) for change in told} <= set(known[name])


@pytest.fixture(scope="module")
async def following(stage):
    """A gateway's address, and a client that is signed in."""
    actors = await stage.actors()
    await stage.start("messaging")
    gateway = await stage.start("gateway")
    headers = {"Authorization": f"Bearer {actors.person().token}"}
    async with aiohttp.ClientSession(headers=headers) as http:
        yield f"http://127.0.0.1:{gateway.port}", http


async def test_both_ways_of_following_refuse_it_and_the_socket_lives_on(following):
    address, http = following
    url = f"{address}/api/v1/live"
    async with http.get(f"{url}?topic=presence&kinds=presence,typing") as answer:
        problem = await answer.json(content_type=None)
    async with http.ws_connect(url) as ws:
        await ws.send_json({"op": "subscribe", "topic": "presence", "fields": ["presence.mood"]})
        refused = await ws.receive_json(timeout=30)
        await ws.send_json({"op": "subscribe", "topic": "presence", "kinds": ["presence"]})
        followed = await ws.receive_json(timeout=30)

    assert answer.status == 422
    assert [fault["pointer"] for fault in problem["faults"]] == ["/kinds/1"]
    assert (refused["op"], refused["topic"], refused["problem"]["status"]) == ("problem", "presence", 422)
    assert [fault["pointer"] for fault in refused["problem"]["faults"]] == ["/fields/0"]
    assert (followed["op"], followed["topic"]) == ("snapshot", "presence")


@pytest.mark.parametrize(
    ("asked", "headers", "wrong"),
    [
        ("/api/v1/live?topic=presence&after=x", {}, "/after"),
        ("/api/v1/live?topic=presence&after=-1", {}, "/after"),
        ("/api/stream?kinds=runtime.run_started", {}, "/npc"),
        ("/api/v1/live?topic=presence&after=", {}, None),
        ("/api/v1/live?topic=presence", {"Last-Event-ID": "of another"}, None),
    ],
)
async def test_events_behind_what_is_no_number_or_of_nobody_are_refused_by_the_name_that_was_sent(
    following, asked, headers, wrong
):
    address, http = following
    async with http.get(f"{address}{asked}", headers=headers) as answer:
        assert answer.status == (422 if wrong else 200)
        faults = (await answer.json(content_type=None))["faults"] if wrong else []

    assert [fault["pointer"] for fault in faults] == ([wrong] if wrong else [])
