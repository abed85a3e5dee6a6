"""Who is told outside of the chat of what, when, and how often; and who is left in peace."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest

from polis.bus.permissions import ADMIN
from polis.messaging.notifications import clock, quiet
from polis.proto import messaging as m
from polis.proto.problems import Invalid
from polis.testing import eventually

NIGHT = m.QuietHours("22:00", "07:00", "Europe/Berlin")
LATE = m.QuietHours("22:00", "02:30", "Europe/Berlin")
NOON = m.QuietHours("12:00", "13:30", "Asia/Kolkata")


@pytest.mark.parametrize(
    ("hours", "now", "until"),
    [
        (NOON, "2026-07-01T06:29:59", None),
        (NOON, "2026-07-01T06:30:00", "2026-07-01T08:00:00"),
        (NOON, "2026-07-01T08:00:00", None),
        (NIGHT, "2026-07-01T20:00:00", "2026-07-02T05:00:00"),
        (NIGHT, "2026-07-02T04:59:59", "2026-07-02T05:00:00"),
        # Clocks are set forward from 02:00 to 03:00: the night is an hour shorter, and 02:30 does not come.
        (NIGHT, "2026-03-28T22:00:00", "2026-03-29T05:00:00"),
        (LATE, "2026-03-29T00:50:00", "2026-03-29T01:30:00"),
        # They are set back from 03:00 to 02:00: the night is an hour longer, and 02:30 comes twice.
        (NIGHT, "2026-10-24T21:00:00", "2026-10-25T06:00:00"),
        (LATE, "2026-10-25T00:10:00", "2026-10-25T00:30:00"),
        (LATE, "2026-10-25T00:30:00", None),
        (LATE, "2026-10-25T01:10:00", "2026-10-25T01:30:00"),
        (LATE, "2026-10-25T01:30:00", None),
    ],
)
def test_quiet_hours_follow_the_clock_on_the_wall(hours, now, until):
    def moment(text):
        return None if text is None else datetime.fromisoformat(text).replace(tzinfo=UTC)

    assert quiet.until(hours, moment(now)) == moment(until)


async def test_what_one_wants_is_kept_whole_and_is_nobody_elses(person, refused):
    ada = person()
    ben = person(of=ada)
    wanted = m.SetNotificationPreferences(
        ("direct", "mentions"),
        mail=True,
        hook=m.NotificationHook("https://a.example/x?y=1", uuid4()),
        quiet=NIGHT,
    )

    kept = await ada.call(wanted)

    assert kept == await ada.call(m.GetNotificationPreferences())
    assert (kept.about, kept.mail, kept.hook, kept.quiet) == (
        wanted.about,
        True,
        wanted.hook,
        NIGHT,
    )
    assert await ben.call(m.GetNotificationPreferences()) == m.NotificationPreferences()
    for hours, pointer in (
        (m.QuietHours("22:00", "07:00", "Mars/Olympus"), "/quiet/zone"),
        (m.QuietHours("22:00", "22:00"), "/quiet/end"),
    ):
        problem = await refused(ada.call(m.SetNotificationPreferences(quiet=hours)))
        assert isinstance(problem, Invalid)
        assert [fault.pointer for fault in problem.faults] == [pointer]


class Notifying:
    """What is told of an org, and a clock that is set by hand."""

    def __init__(self, running):
        self.database = running.kernel.database
        self.config = msgspec.structs.replace(running.kernel.settings, notifications_per_hour=3)
        self.known = set()

    async def wait_for(self, org_id):
        """Until all that was said there has been written down for the next look."""

        async def done():
            async with self.database.across_orgs() as tx:
                return await tx.value(
                    """
                    select not exists (
                        select from messaging.messages m
                        left join messaging.indexed i on i.org_id = m.org_id and i.conversation_id = m.conversation_id
                        where m.org_id = $1 and m.seq > coalesce(i.seq, 0)
                    )
                    """,
                    org_id,
                )

        await eventually(done)

    async def told(self, org_id, at):
        """Who is told what by this moment, that was not told before: (principal, conversation, unread)."""
        await self.wait_for(org_id)
        await clock.turn(self.database, self.config, at)
        return await self.new(org_id)

    async def new(self, org_id):
        async with self.database.across_orgs() as tx:
            found = await tx.rows(
                Payload,
                "select id, payload from messaging.outbox where org_id = $1 and fact = 'notification_due' order by n",
                org_id,
            )
        new = [row for row in found if row.id not in self.known]
        self.known |= {row.id for row in new}
        due = [msgspec.json.decode(row.payload) for row in new]
        return sorted((UUID(e["principal_id"]), UUID(e["conversation_id"]), e["unread"]) for e in due)


class Payload(msgspec.Struct):
    id: UUID
    payload: bytes


@pytest.fixture
def notifying(running):
    return Notifying(running)


async def group(owner, *others):
    made = await owner.call(m.CreateConversation("group", "A"))
    for other in others:
        await owner.call(m.AddParticipant(made.id, other.principal_id))
    return made.id


async def direct(one, other):
    return (await one.call(m.OpenDirect(other.principal_id))).id


async def say(who, conversation_id, text="Hello", **more):
    return await who.call(m.PostMessage(conversation_id, text, **more))


def later(minutes):
    return datetime.now(UTC) + timedelta(minutes=minutes)


async def test_who_wants_to_is_told_of_what_concerns_them_once_until_they_have_read_it(person, notifying):
    ada = person()
    ben, cem = person(of=ada), person(of=ada)
    org = ada.org_id
    wants = {ada: ("direct", "mentions"), ben: ("replies",), cem: ("everything",)}
    for who, about in wants.items():
        await who.call(m.SetNotificationPreferences(about, mail=True))
    room, pair = await group(ada, ben, cem), await direct(ada, ben)
    await notifying.told(org, later(60))

    own = await say(ben, room)
    await say(cem, room, "You?", reply_to=own.seq)
    # PostgreSQL takes a zero character for no JSON, and one message must not keep all others from being told.
    await say(ben, room, f"@{ada.principal_id}", attributes={"zero": "\\\0\0", "none": "\\u0000"})
    await say(ben, pair)
    assert await notifying.told(org, later(1)) == []
    first = await notifying.told(org, later(3))
    await say(ben, pair)
    await say(cem, room, reply_to=own.seq)
    again = await notifying.told(org, later(6))
    await ada.call(m.MarkConversation(pair, 1_000))
    await say(ben, pair)
    read = await notifying.told(org, later(9))

    assert first == sorted(
        [
            (ada.principal_id, room, 3),
            (ada.principal_id, pair, 1),
            (ben.principal_id, room, 1),
            (cem.principal_id, room, 2),
        ]
    )
    assert again == []
    assert read == [(ada.principal_id, pair, 1)]


async def test_what_was_read_in_time_or_deleted_or_is_not_wanted_any_more_is_not_told(person, notifying):
    ada = person()
    ben = person(of=ada)
    rooms = [await group(ben, ada) for _ in range(4)]
    await ada.call(m.SetNotificationPreferences(("everything",), mail=True, not_of=(rooms[0],)))
    posted = [await say(ben, room) for room in rooms]
    assert await notifying.told(ada.org_id, later(0)) == []

    await ada.call(m.MarkConversation(rooms[1], posted[1].seq))
    await ben.call(m.DeleteMessage(rooms[2], posted[2].seq))
    await ben.call(m.RemoveParticipant(rooms[3], ada.principal_id))

    assert await notifying.told(ada.org_id, later(3)) == []


async def test_a_talk_that_one_reads_along_is_not_told_because_its_last_word_is_new(person, notifying):
    ada = person()
    ben = person(of=ada)
    await ada.call(m.SetNotificationPreferences(("direct",), mail=True))
    pair = await direct(ada, ben)
    heard = await say(ben, pair)
    await notifying.told(ada.org_id, later(0))
    await say(ben, pair)
    await notifying.told(ada.org_id, later(0))
    async with notifying.database.transaction([ada.org_id]) as tx:
        await tx.execute(
            "update messaging.notices set due_at = due_at - interval '2 minutes' where org_id = $1",
            ada.org_id,
        )
    await ada.call(m.MarkConversation(pair, heard.seq))

    assert await notifying.told(ada.org_id, later(1)) == []
    assert await notifying.told(ada.org_id, later(3)) == [(ada.principal_id, pair, 1)]


async def test_in_quiet_hours_it_waits_and_what_was_read_by_their_end_is_dropped(person, notifying):
    ada = person()
    ben = person(of=ada)
    now = datetime.now(UTC)
    hours = m.QuietHours(f"{now:%H:%M}", f"{now + timedelta(hours=3):%H:%M}")
    await ada.call(m.SetNotificationPreferences(("direct", "everything"), mail=True, quiet=hours))
    pair, room = await direct(ada, ben), await group(ben, ada)
    for each in (pair, room):
        await say(ben, each)

    assert await notifying.told(ada.org_id, later(10)) == []
    await ada.call(m.MarkConversation(room, 1_000))

    assert await notifying.told(ada.org_id, later(170)) == []
    assert await notifying.told(ada.org_id, later(181)) == [(ada.principal_id, pair, 1)]


async def test_what_waits_for_quiet_hours_is_told_when_there_are_none_any_more(person, notifying):
    ada = person()
    ben = person(of=ada)
    talk = await direct(ada, ben)
    begin, end = (later(minutes).strftime("%H:%M") for minutes in (-60, 360))
    await ada.call(m.SetNotificationPreferences(("direct",), mail=True, quiet=m.QuietHours(begin, end)))
    await say(ben, talk)
    assert not await notifying.told(ada.org_id, later(10))

    await ada.call(m.SetNotificationPreferences(("direct",), mail=True))

    assert await notifying.told(ada.org_id, later(11)) == [(ada.principal_id, talk, 1)]


async def test_hours_of_a_zone_that_is_gone_keep_nobody_else_from_being_told(person, notifying):
    ada = person()
    ben = person(of=ada)
    now = datetime.now(UTC)
    hours = m.QuietHours(f"{now:%H:%M}", f"{now + timedelta(hours=3):%H:%M}")
    await ada.call(m.SetNotificationPreferences(("direct",), mail=True, quiet=hours))
    await ben.call(m.SetNotificationPreferences(("direct",), mail=True))
    async with notifying.database.transaction([ada.org_id]) as tx:
        await tx.execute(
            "update messaging.notification_preferences set zone = 'No/Where' where org_id = $1 and principal_id = $2",
            ada.org_id,
            ada.principal_id,
        )
    pair = await direct(ada, ben)
    for each in (ben, ada):
        await say(each, pair)

    assert await notifying.told(ada.org_id, later(10)) == [(ben.principal_id, pair, 1)]
    await ada.call(m.SetNotificationPreferences(("direct",), mail=True))
    assert await notifying.told(ada.org_id, later(71)) == [(ada.principal_id, pair, 1)]


async def test_beyond_so_many_in_an_hour_they_wait_for_the_next(person, notifying):
    ada = person()
    ben = person(of=ada)
    await ada.call(m.SetNotificationPreferences(("everything",), mail=True))
    for room in [await group(ben, ada) for _ in range(5)]:
        await say(ben, room)

    assert [len(await notifying.told(ada.org_id, later(at))) for at in (3, 30, 62, 64)] == [3, 0, 0, 2]


async def test_why_a_webhook_failed_is_told_to_its_owner_until_it_is_another_one(person, stage, actors):
    ada = person()
    runtime = await stage.caller(ADMIN)
    hook, other = (m.NotificationHook(f"https://{name}.example/x", uuid4()) for name in "ab")
    await ada.call(m.SetNotificationPreferences(hook=hook))
    org = UUID(int=1)
    token = actors.token(sub=uuid4(), kind="service", name="runtime", org=org, orgs={str(org): "service"})

    async def report(url):
        told = m.ReportNotificationHook(ada.org_id, ada.principal_id, url, "http.4xx: 404")
        await runtime.call(told, token=token)
        return (await ada.call(m.GetNotificationPreferences())).failure

    assert await report(other.url) is None
    assert await report(hook.url) == "http.4xx: 404"
    asked = m.GetNotificationHook(ada.org_id, ada.principal_id)
    assert (await runtime.call(asked, token=token)).hook == hook
    assert (await ada.call(m.SetNotificationPreferences(hook=hook, mail=True))).failure == "http.4xx: 404"
    assert (await ada.call(m.SetNotificationPreferences(hook=other))).failure is None


async def test_when_who_looks_dies_another_goes_on_where_it_stopped(person, notifying, stage):
    ada = person()
    ben = person(of=ada)
    await ada.call(m.SetNotificationPreferences(("direct",), mail=True))
    await say(ben, pair := await direct(ada, ben))
    await notifying.wait_for(ada.org_id)
    soon = msgspec.structs.replace(notifying.config, notify_after_s=0.0, notify_every_s=0.05)
    admin = await asyncpg.connect(stage.database.admin_url)
    [first] = [task for task in asyncio.all_tasks() if task.get_name() == "notifications"]

    successor = asyncio.create_task(clock.keep(notifying.database, soon))
    await admin.execute(
        "select pg_terminate_backend(a.pid) from pg_stat_activity a join pg_locks l on l.pid = a.pid"
        " where l.locktype = 'advisory' and l.granted and a.datname = current_database()"
        " and a.application_name = 'polis-messaging-notifications'"
    )
    first.cancel()
    told = await eventually(lambda: notifying.new(ada.org_id))
    successor.cancel()
    await admin.close()

    assert told == [(ada.principal_id, pair, 1)]
