"""What is said as a stream: readers see exactly that, whenever they come; whoever controls it is obeyed and nobody else is."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import msgspec
import pytest

from polis.bus.permissions import ADMIN
from polis.messaging.own import Own
from polis.messaging.service import service
from polis.messaging.streams import ending
from polis.messaging.streams.hearing import Hearing
from polis.proto import Problem, Refused, runtime
from polis.proto import messaging as m
from polis.proto.contract import operation_of, operations
from polis.proto.identity import Conditions, Grant, Holder
from polis.proto.messaging import LIVE_CONVERSATION, LiveConversation
from polis.proto.problems import Forbidden, Invalid
from polis.proto.runtime import Addressee
from polis.service import call, serving
from polis.service.wire import encode_problem
from polis.testing import eventually

SEED = 11
WORDS = ("polis ", "naïve ", "👍🏽 ", "line\n", "x")


@pytest.fixture(scope="module")
async def runs(stage):
    """Runs that a played runtime knows, and those that were cancelled."""
    bus = await stage.bus("runtime")
    known = {}

    def answer(message):
        run_id = msgspec.json.decode(message.payload, type=runtime.GetRun).run_id
        cancels = message.subject.endswith("cancel_run")
        if run_id in known and not (cancels and known[run_id] == "not yours"):
            actor, known[run_id] = known[run_id], "cancelled" if cancels else known[run_id]
            made = {"id": run_id, "org_id": uuid4(), "graph": "g", "digest": "0" * 64, "state": "running"}
            made |= {"actor_id": actor, "started_by": actor, "created_at": "2026-01-01T00:00:00Z"}
            bus.publish(message.reply, msgspec.json.encode(made))
            return
        problem = runtime.RunNotFound(run_id=run_id)
        headers = {call.ERROR_CODE: "404", call.ERROR: problem.title}
        bus.publish(message.reply, encode_problem(problem), headers=headers)

    for request in (runtime.GetRun, runtime.CancelRun):
        await bus.subscribe(operation_of(request).subject, answer, queue="runtime")
    return known


class Room:
    """A group of somebody who asks and an agent that answers, with all that is told live in it."""

    def __init__(self, ada, sarah, id_, heard):
        self.ada, self.sarah, self.id, self.heard = ada, sarah, id_, heard

    async def begin(self, name="1", **more):
        return (await self.sarah.call(m.BeginStream(self.id, name, **more))).stream_id

    async def say(self, stream, text, at=None):
        if at is None:
            at = (await self.sarah.call(m.ContinueStream(stream, 0))).at
        return await self.sarah.call(m.ContinueStream(stream, at, text))

    async def control(self, control, stream=None, *, by=None):
        return await (by or self.ada).call(m.ControlConversation(self.id, control, stream))

    async def said(self):
        return (await self.ada.call(m.ListMessages(self.id))).items

    async def tried(self, request):
        """What it is answered with, or refused."""
        try:
            return await request
        except Refused as refusal:
            return refusal.problem

    async def refused(self, request):
        answer = await self.tried(request)
        assert isinstance(answer, Problem), answer
        return answer

    def told_of_end(self):
        return any(getattr(told, "message_seq", None) for told in self.heard)


@pytest.fixture
async def room(stage, person, actors):
    ada = person()
    made = actors.agent(ada.org_id, "sarah")
    sarah = actors.person("agent", org_id=ada.org_id, kind="agent", sub=made.id)
    made = await ada.call(m.CreateConversation(kind="group", participants=(sarah.principal_id,)))
    bus = await stage.bus(ADMIN)
    heard = []

    def hear(message):
        told = msgspec.json.decode(message.payload, type=LiveConversation)
        heard.extend((*told.entries, *told.streams))

    await bus.subscribe(LIVE_CONVERSATION.subject(ada.org_id, made.id), hear)
    return Room(ada, sarah, made.id, heard)


@pytest.fixture
def grant(actors):
    """Gives somebody the right to do something to something in their org."""

    def give(person, verb, resource):
        holder = Holder("principal", person.principal_id)
        made = Grant(uuid4(), person.org_id, holder, verb, resource, uuid4(), datetime.now(UTC), Conditions())
        actors.grants.append(made)

    return give


class Reader:
    """Makes the text of a stream from what it hears, as a client does; some of what is told is lost on its way."""

    def __init__(self, room, chance):
        self.room, self.chance = room, chance
        self.from_ = len(room.heard)
        self.text = None

    async def come(self, stream):
        [seen] = (await self.room.ada.call(m.WatchConversation(self.room.id))).streams
        self.text = seen.text
        assert (seen.at, seen.length) == (0, len(seen.text))
        self.stream = stream

    async def finish(self):
        for change in self.room.heard[self.from_ :]:
            if not isinstance(change, m.StreamChange) or self.chance.random() < 0.2:
                continue
            if change.at > len(self.text):
                missed = await self.room.ada.call(m.GetStream(self.stream, at=len(self.text)))
                self.text += missed.text
            elif change.at + len(change.text) > len(self.text):
                self.text += change.text[len(self.text) - change.at :]
        missed = await self.room.ada.call(m.GetStream(self.stream, at=len(self.text)))
        return self.text + missed.text


async def test_whoever_comes_late_or_misses_some_sees_exactly_what_was_said(stage, room):
    chance = random.Random(SEED)
    secret = f"CANARY-{uuid4().hex}"
    stream = await room.begin()
    said, readers = "", []

    for number in range(40):
        piece = "".join(chance.choices(WORDS, k=chance.randrange(1, 60))) + (secret if number == 20 else "")
        # Again from before, twice at once, and from behind a gap, which is not taken.
        back = chance.randrange(0, len(said) + 1)
        pieces = (
            [m.ContinueStream(stream, back, said[back:][:4000] + piece)] if len(said) - back < 4000 else []
        )
        pieces += [
            m.ContinueStream(stream, len(said), piece),
            m.ContinueStream(stream, len(said) + 10_000, "x"),
        ]
        status, *_ = await asyncio.gather(*(room.sarah.call(each) for each in pieces))
        said += piece
        assert status.shown == len(said)
        if number % 8 == 7:
            readers.append(Reader(room, chance))
            await readers[-1].come(stream)

    assert [await reader.finish() for reader in readers] == [said] * len(readers)
    assert await room.said() == ()
    assert (await room.sarah.call(m.BeginStream(room.id, "1"))).at == len(said)
    ended = await room.sarah.call(m.EndStream(stream, len(said), attributes={"mood_at_time": "calm"}))
    again = await room.sarah.call(m.EndStream(stream, len(said)))
    [message] = await room.said()
    assert message.text == said
    assert (ended, ended.state, ended.message_seq) == (again, "complete", message.seq)
    assert (message.stream.id, message.stream.characters) == (stream, len(said))
    assert (message.attributes, message.client_id) == ({"mood_at_time": "calm"}, "1")
    await eventually(room.told_of_end)
    assert (await room.ada.call(m.WatchConversation(room.id))).streams == ()
    for table in ("outbox", "entries", "streams", "stream_parts"):
        async with stage.running["messaging"].kernel.database.across_orgs() as tx:
            rows = await tx.rows(
                str, f"select t::text from messaging.{table} t where t.org_id = $1", room.ada.org_id
            )
        assert not [row for row in rows if secret in row]


async def test_a_paused_stream_shows_nothing_and_loses_nothing(room):
    stream = await room.begin()
    text = "".join(random.Random(SEED).choices("abcdefg ", k=9_000))

    async def producer():
        """Says it again for as long as it is not taken."""
        at = 0
        while at < len(text):
            at = (await room.sarah.call(m.ContinueStream(stream, at, text[at : at + 100]))).at

    saying = asyncio.create_task(producer())
    await eventually(lambda: any(getattr(told, "text", "") for told in room.heard))
    paused = await room.control(m.PauseControl("wait"), stream)
    shown = paused.streams[0].shown

    async def pushed_back():
        status = await room.sarah.call(m.ContinueStream(stream, 0))
        return status if status.at == min(shown + m.MAX_HELD, len(text)) else None

    status = await eventually(pushed_back)
    assert (status.state, status.shown) == ("paused", shown)
    [seen] = (await room.ada.call(m.WatchConversation(room.id))).streams
    assert (seen.text, seen.state) == (text[:shown], "paused")
    assert await room.refused(room.sarah.call(m.EndStream(stream))) == m.StreamPaused(stream)
    assert (await room.control(m.PauseControl(), stream)).seq is None
    resumed = await room.control(m.ResumeControl())
    await saying
    await room.sarah.call(m.EndStream(stream, len(text)))

    assert (await room.said())[0].text == text
    await eventually(room.told_of_end)
    order = [told.seq if isinstance(told, m.Entry) else None for told in room.heard]
    between = room.heard[order.index(paused.seq) : order.index(resumed.seq)]
    # A piece that has committed just before may be heard just behind the entry; nothing is that lies beyond what was shown.
    assert not [told for told in between if getattr(told, "text", "") and told.at >= shown]
    assert "".join(getattr(told, "text", "") for told in room.heard) == text


async def test_who_is_preempted_or_cancelled_is_told_and_what_was_shown_stays(room, runs):
    question = await room.ada.call(m.PostMessage(room.id, text="Why?"))
    mine, other = uuid4(), uuid4()
    runs[mine] = room.sarah.principal_id
    runs[other] = room.ada.principal_id
    assert isinstance(await room.refused(room.begin("0", run_id=uuid4())), runtime.RunNotFound)
    assert isinstance(await room.refused(room.begin("0", run_id=other)), runtime.RunNotFound)
    first = await room.begin("1", reply_to=question.seq)
    second = await room.begin("2", reply_to=question.seq, run_id=mine)
    await room.say(first, "Because of", 0)
    await room.say(second, "Well", 0)
    await room.control(m.PauseControl(), first)
    await room.say(first, " many things", 10)

    urgent = await room.control(m.PriorityControl(level=7), second)
    status = await room.say(second, "", 4)
    preempted = await room.control(m.PreemptControl("enough"), first)
    stopped = await room.say(first, "more", 22)
    cancelled = await room.control(m.CancelControl("no"))

    assert (status.priority, urgent.streams[0].state) == (7, "open")
    assert (stopped.state, stopped.shown) == ("preempted", 10)
    assert runs[mine] == "cancelled"
    assert (await room.sarah.call(m.EndStream(second, 4))).state == "cancelled"
    assert (await room.sarah.call(m.AbandonStream(first))).state == "preempted"
    assert isinstance(await room.refused(room.control(m.PauseControl())), m.NothingIsSaid)
    assert (await room.control(m.CancelControl("again"), second)).seq is None
    well, because, _ = await room.said()
    assert [(s.text, s.stream.state, s.stream.characters, s.stream.reason) for s in (because, well)] == [
        ("Because of", "preempted", 10, "enough"),
        ("Well", "cancelled", 4, "no"),
    ]
    assert because.stream.by == room.ada.principal_id
    entries = (await room.ada.call(m.WatchConversation(room.id, after=question.seq))).entries
    assert [e.control.control.__struct_config__.tag for e in entries if e.kind == "control"] == [
        *("pause", "priority", "preempt", "cancel")
    ]
    by_seq = {entry.seq: entry for entry in entries}
    kept = by_seq[preempted.seq].control.streams[0]
    assert (kept.shown, kept.message_seq, by_seq[kept.message_seq].message) == (10, because.seq, because)
    assert by_seq[cancelled.seq].actor_id == room.ada.principal_id
    assert [e for e in room.heard if isinstance(e, m.Entry) and e.seq > question.seq] == list(entries)


async def test_what_somebody_is_saying_ends_with_their_right_to_say_it_and_nothing_is_put_beside_it(room):
    sarah, later = room.sarah.principal_id, datetime.now(UTC) + timedelta(hours=1)
    rights = {
        "only looks on": m.ChangeParticipant(room.id, sarah, role="observer"),
        "muted": m.ChangeParticipant(room.id, sarah, role="member", muted_until=later),
        "archived": m.ChangeConversation(room.id, archived=True),
        "removed": m.RemoveParticipant(room.id, sarah),
    }
    again = [
        m.ChangeParticipant(room.id, sarah, role="member"),
        m.ChangeParticipant(room.id, sarah, muted_until=datetime.now(UTC)),
        m.ChangeConversation(room.id, archived=False),
    ]
    for number, (reason, taken) in enumerate(rights.items()):
        stream = await room.begin(str(number))
        await room.say(stream, "Well", 0)
        shown_nothing = await room.begin(f"{number}-too")

        await room.ada.call(taken)

        card = m.MessagePart("card", content={"price": 7})
        for each in (stream, shown_nothing):
            assert (await room.sarah.call(m.EndStream(each, parts=(card,)))).state == "preempted"
        left = (await room.said())[0]
        told = (left.text, left.parts, left.stream.state, left.stream.reason, left.stream.by)
        assert told == ("Well", (), "preempted", reason, room.ada.principal_id)
        if again:
            await room.ada.call(again.pop(0))
    assert len(await room.said()) == len(rights)
    assert isinstance(await room.refused(room.say(stream, "x", 4)), m.StreamNotFound)


async def test_what_others_are_saying_goes_on(room, actors):
    other = actors.agent(room.ada.org_id, "tom")
    await room.ada.call(m.AddParticipant(room.id, other.id))
    stream = await room.begin()

    await room.ada.call(m.BanParticipant(room.id, other.id))

    assert (await room.say(stream, "Well", 0)).state == "open"


async def test_a_run_that_is_not_the_callers_to_cancel_is_not_cancelled_by_a_stream(room, runs):
    run = uuid4()
    runs[run] = room.sarah.principal_id
    stream = await room.begin(run_id=run)
    await room.say(stream, "On", 0)
    runs[run] = "not yours"

    problem = await room.refused(room.control(m.CancelControl(), stream))

    assert isinstance(problem, runtime.RunNotFound)
    assert (await room.say(stream, " and on", 2)).state == "open"
    await room.sarah.call(m.AbandonStream(stream, "tired"))
    assert [(s.stream.state, s.stream.reason) for s in await room.said()] == [("partial", "tired")]


async def test_who_speaks_and_is_heard_no_more_leaves_a_partial_message(stage, room):
    lost, long, ended = [await room.begin(name) for name in ("1", "2", "3")]
    await room.say(lost, "The answer is", 0)
    await room.control(m.PauseControl(), lost)
    await room.say(lost, " held", 13)
    await room.say(ended, "Done", 0)
    await room.sarah.call(m.EndStream(ended))
    async with stage.running["messaging"].kernel.database.across_orgs() as tx:
        await tx.execute(
            "update messaging.streams set began_at = began_at - interval '2 hours' where id = $1", long
        )

    async with serving(service, stage.settings("messaging", stream_lease_s=0.1)):
        said = await eventually(lambda: _three(room))

    assert {s.client_id: (s.text, s.stream.state, s.stream.reason) for s in said} == {
        "1": ("The answer is", "partial", "producer lost"),
        "2": ("", "partial", "took too long"),
        "3": ("Done", "complete", ""),
    }
    seen = await room.ada.call(m.GetStream(long))
    assert seen.message_seq in {s.seq for s in said}


async def test_who_could_not_be_heard_has_the_whole_lease_from_then_on(stage, room):
    """An outage longer than the lease ends no answer: silence counts only where somebody listened."""
    spoken = await room.begin()
    await room.say(spoken, "The answer is", 0)
    kernel = stage.running["messaging"].kernel
    own = Own(stage.settings("messaging", stream_lease_s=0.3), kernel)
    async with kernel.database.across_orgs() as tx:
        await tx.execute(
            "update messaging.streams set heard_at = heard_at - interval '1 second' where id = $1", spoken
        )

    await ending.sweep(own)
    assert (await room.say(spoken, " 42", 13)).state == "open"

    async def lost():
        await ending.sweep(own)
        return await room.said()

    (said,) = await eventually(lost)
    assert (said.text, said.stream.state) == ("The answer is 42", "partial")


def test_a_listener_that_was_held_up_begins_to_listen_anew():
    hearing, heeded = Hearing(lease_s=15.0), []
    for now in (0, 4, 8, 12, 14, 15, 20, 26, 30, 35, 40, 41):
        if hearing.heeds(now):
            heeded.append(now)
        hearing.heard(now)

    assert heeded == [15, 20, 41]


async def test_a_stream_that_cannot_end_holds_up_no_other(stage, room, monkeypatch):
    """One conversation at a time is looked at, and the one that cannot be ended is seen in every turn."""
    made = [
        await room.ada.call(m.CreateConversation(kind="group", participants=(room.sarah.principal_id,)))
        for _ in range(3)
    ]
    broken, *others = sorted(each.id for each in made)
    for each in (broken, *others):
        await room.sarah.call(m.BeginStream(each, "1"))
    end = ending.end

    async def defective(tx, own, row, outcome):
        if row.conversation_id == broken:
            raise RuntimeError("a defect")
        return await end(tx, own, row, outcome)

    monkeypatch.setattr(ending, "_AT_ONCE", 1)
    monkeypatch.setattr(ending, "end", defective)

    async def left(conversation_id):
        return (await room.ada.call(m.ListMessages(conversation_id))).items

    async with serving(service, stage.settings("messaging", stream_lease_s=0.1)):
        for each in others:
            await eventually(lambda each=each: left(each), within_s=30)

    assert await left(broken) == ()


async def _three(room):
    said = await room.said()
    return said if len(said) == 3 else None


async def test_only_who_may_controls_and_nobody_says_on_for_another(room, person, actors, grant):
    member, admin, observer, outsider, granted = (person(of=room.ada) for _ in range(5))
    for somebody, role in (
        (member, "member"),
        (admin, "admin"),
        (observer, "observer"),
        (granted, "observer"),
    ):
        await room.ada.call(m.AddParticipant(room.id, somebody.principal_id, role))
    question = await member.call(m.PostMessage(room.id, text="Why?"))
    asked, other = await room.begin("1", reply_to=question.seq), await room.begin("2")
    grant(granted, "messaging:control", f"conversation/{room.id}")
    everything = (m.PauseControl(), m.ResumeControl(), m.PriorityControl(level=1), m.CancelControl())

    async def may(somebody, stream):
        answers = [await room.tried(room.control(each, stream, by=somebody)) for each in everything]
        return [None if isinstance(each, m.ControlAnswer) else type(each) for each in answers]

    for stranger in (outsider, person()):
        assert await may(stranger, other) == [m.ConversationNotFound] * 4
        assert isinstance(await room.refused(stranger.call(m.GetStream(asked))), m.StreamNotFound)
    assert await may(observer, other) == [Forbidden] * 4
    assert await may(member, other) == [None, None, Forbidden, Forbidden]
    assert await may(member, asked) == [None, None, Forbidden, None]
    assert await may(granted, other) == [None] * 4
    assert await may(admin, await room.begin("3")) == [None] * 4
    another = await room.begin("4")
    for request in (m.ContinueStream(another, 0, "x"), m.EndStream(another), m.AbandonStream(another)):
        assert isinstance(await room.refused(admin.call(request)), m.StreamNotFound)
    for request in (m.BeginStream(room.id, "1"), m.ControlConversation(room.id, m.PauseControl())):
        assert isinstance(await room.refused(observer.call(request)), Forbidden)


async def test_a_conversation_is_routed_and_handed_off_by_control_too(room, person, actors):
    tom, member = person("admin", of=room.ada), person(of=room.ada)
    await room.ada.call(m.AddParticipant(room.id, member.principal_id))
    to_tom = m.HandoffControl(Addressee("principal", id=tom.principal_id), "A refund", "Twice in May")

    assert isinstance(await room.refused(room.control(to_tom, by=member)), Forbidden)
    routed = await room.control(m.RouteControl(room.sarah.principal_id, "knows more"))
    handed = await room.control(to_tom, by=room.sarah)

    [handoff] = (await tom.call(m.ListHandoffs())).items
    assert (handoff.reason, handoff.by, handoff.summary) == (
        "A refund",
        room.sarah.principal_id,
        "Twice in May",
    )
    entries = (await room.ada.call(m.WatchConversation(room.id, after=routed.seq - 1))).entries
    assert [(e.kind, e.actor_id) for e in entries] == [
        ("control", room.ada.principal_id),
        ("responsible", room.ada.principal_id),
        ("control", room.sarah.principal_id),
        ("handoff", room.sarah.principal_id),
    ]
    assert entries[2].control.control == to_tom
    assert handed.seq == entries[2].seq


async def test_to_be_routed_where_a_conversation_is_already_changes_nothing(room):
    there = m.RouteControl(room.sarah.principal_id)
    await room.control(there)
    now = await room.ada.call(m.GetConversation(room.id))

    assert (await room.control(there)).seq is None

    assert await room.ada.call(m.GetConversation(room.id)) == now
    handed = m.HandoffControl(Addressee("principal", id=room.ada.principal_id), "A refund")
    await room.control(handed)
    assert (await room.control(there)).seq is not None  # it waits for nobody any more
    assert not (await room.ada.call(m.ListHandoffs())).items


async def test_who_may_say_nothing_is_not_asked_to_answer(room, person):
    vic = person("viewer", of=room.ada)
    to_vic = Addressee("principal", id=vic.principal_id)

    for request, pointer in (
        (m.HandOff(room.id, to_vic, "A refund"), "/to/id"),
        (m.ControlConversation(room.id, m.HandoffControl(to_vic, "A refund")), "/control/to/id"),
        (m.ControlConversation(room.id, m.RouteControl(vic.principal_id)), "/control/to"),
        (m.ControlConversation(room.id, m.HandoffControl(Addressee("role"), "A refund")), "/control/to"),
    ):
        problem = await room.refused(room.ada.call(request))
        assert [fault.pointer for fault in problem.faults] == [pointer]


async def test_streams_are_bounded(room, stage):
    streams = [await room.begin(str(number)) for number in range(m.MAX_OPEN_STREAMS)]
    assert (await room.refused(room.begin("more"))).what == "streams"
    wide = "\U0001f600" * m.MAX_PIECE
    await room.say(streams[0], wide, 0)
    for request in (
        m.ContinueStream(streams[0], m.MAX_PIECE, wide + "x"),
        m.ContinueStream(streams[0], 0, wide * 2),
    ):
        assert isinstance(await room.refused(room.sarah.call(request)), Invalid)
    for number in range(4):
        at = number * m.MAX_PIECE
        await room.say(streams[1], "x" * m.MAX_PIECE, at)
    assert (await room.refused(room.say(streams[1], "x", m.MAX_TEXT))).what == "characters of a stream"
    await room.say(streams[0], wide, m.MAX_PIECE)
    assert isinstance(await room.refused(room.say(streams[0], "x", 2 * m.MAX_PIECE)), m.ConversationFull)
    assert isinstance(await room.refused(room.sarah.call(m.EndStream(streams[2]))), Invalid)
    assert (await room.refused(room.sarah.call(m.EndStream(streams[0], m.MAX_TEXT)))).at == 2 * m.MAX_PIECE


def test_there_is_no_other_way_to_write_what_happened():
    """Nothing that is asked of messaging holds an entry, its kind, or a control beside the closed set."""
    asked = {o.request.__name__: _schema(o.request) for o in operations("messaging")}
    told = {"Entry", "EntryKind", "Controlled", "Streamed", "Message"}
    for name, schema in asked.items():
        assert not told & schema.get("$defs", {}).keys() - {name}, name
    kinds = asked["ControlConversation"]["$defs"]["ControlConversation"]["properties"]["control"]
    assert set(kinds["discriminator"]["mapping"]) == {
        *("pause", "resume", "preempt", "cancel", "priority", "route", "handoff")
    }
    for forged in (
        {"kind": "posted"},
        {"kind": "priority", "level": 10},
        {},
    ):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(
                {"conversation_id": str(uuid4()), "control": forged}, m.ControlConversation, strict=False
            )


def _schema(request):
    return msgspec.json.schema(request, schema_hook=lambda _: {"description": "anything"})
