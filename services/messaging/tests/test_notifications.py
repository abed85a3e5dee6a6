"""Who is told outside of the chat of what, when, and how often; and who is left in peace."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from polis.messaging.notifications import quiet
from polis.proto import messaging as m
from polis.proto.problems import Invalid

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
        ("direct", "mentions"), mail=True, hook=m.NotificationHook("https://a.example/x?y=1"), quiet=NIGHT
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
