"""Schedules in virtual time: the slots they have, also where clocks are set, and what becomes of missed ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polis.proto.trigger import MOST_MISSED, Schedule
from polis.runtime.triggers.slots import GRACE_S, following, newest, turn

BERLIN = ZoneInfo("Europe/Berlin")
GAP = datetime(2026, 3, 29, tzinfo=BERLIN)
"""At 02:00 the clocks are set to 03:00."""
TWICE = datetime(2026, 10, 25, tzinfo=BERLIN)
"""At 03:00 the clocks are set back to 02:00."""


def slots(schedule, start, count):
    found = [start.astimezone(UTC)]
    while len(found) <= count and (slot := following(schedule, found[-1])) is not None:
        found.append(slot)
    return found[1:]


def on_the_wall(schedule, start, count):
    return [slot.astimezone(BERLIN).strftime("%d %H:%M%z") for slot in slots(schedule, start, count)]


@pytest.mark.parametrize(
    ("cron", "start", "expected"),
    [
        # A time that does not exist: the first moment behind the gap, and the day after as ever.
        ("30 2 * * *", GAP, ["29 03:00+0200", "30 02:30+0200"]),
        ("0,30 2 * * *", GAP, ["29 03:00+0200", "30 02:00+0200"]),
        # By elapsed time: none in the gap, none twice at its end.
        ("*/30 * * * *", GAP + timedelta(hours=1), ["29 01:30+0100", "29 03:00+0200", "29 03:30+0200"]),
        # A time that comes twice: the first one.
        ("30 2 * * *", TWICE, ["25 02:30+0200", "26 02:30+0100"]),
        ("0,30 2 * * *", TWICE, ["25 02:00+0200", "25 02:30+0200", "26 02:00+0100"]),
        ("*/30 * * * *", TWICE + timedelta(hours=2), ["25 02:30+0200", "25 02:00+0100", "25 02:30+0100"]),
    ],
)
def test_clocks_that_are_set_neither_lose_a_slot_nor_double_it(cron, start, expected):
    assert on_the_wall(Schedule(cron=cron, timezone="Europe/Berlin"), start, len(expected)) == expected


def test_a_change_of_half_an_hour_hides_no_slot():
    island = ZoneInfo("Australia/Lord_Howe")  # at 02:00 the clocks are set to 02:30
    schedule = Schedule(cron="5 */6 * * *", timezone="Australia/Lord_Howe")

    found = slots(schedule, datetime(2025, 10, 5, 0, 10, tzinfo=island), 2)

    assert [slot.astimezone(island).strftime("%H:%M") for slot in found] == ["06:05", "12:05"]


def test_listed_times_go_by_the_same_rules_and_end():
    listed = ("2026-03-29T02:30", "2026-10-25T02:30", "2026-03-29T03:00", "2026-10-25T02:30:00")

    found = on_the_wall(Schedule(at=listed, timezone="Europe/Berlin"), GAP, 5)

    assert found == ["29 03:00+0200", "25 02:30+0200"]


def test_nothing_fires_on_excluded_dates_of_the_schedules_zone():
    schedule = Schedule(cron="30 23 * * *", timezone="Europe/Berlin", excluded=("2026-03-29", "2026-03-30"))

    assert on_the_wall(schedule, GAP - timedelta(days=1), 2) == ["28 23:30+0100", "31 23:30+0200"]


def test_an_interval_keeps_its_rhythm_whenever_it_is_looked_at():
    schedule = Schedule(every_s=3600)

    assert following(schedule, datetime(2026, 5, 1, 12, 59, 59, 5, tzinfo=UTC)) == datetime(
        2026, 5, 1, 13, tzinfo=UTC
    )
    assert following(schedule, datetime(2026, 5, 1, 13, tzinfo=UTC)) == datetime(2026, 5, 1, 14, tzinfo=UTC)


SLOT = datetime(2026, 5, 1, 6, tzinfo=UTC)
HOURLY = "0 * * * *"


@pytest.mark.parametrize(
    ("missed", "late", "fire", "behind", "passed"),
    [
        ("skip", timedelta(seconds=GRACE_S), 0, 1, False),
        ("skip", timedelta(minutes=10), None, 1, True),
        ("skip", timedelta(hours=5, seconds=30), 5, 6, True),  # the last one is not late yet
        ("once", timedelta(minutes=10), 0, 1, False),
        ("once", timedelta(hours=5, minutes=10), 5, 6, True),
        ("all", timedelta(hours=5, minutes=10), 0, 1, False),
        ("all", timedelta(hours=MOST_MISSED + 50), 51, 52, True),
    ],
)
def test_the_policy_says_what_becomes_of_missed_slots(missed, late, fire, behind, passed):
    found = turn(Schedule(cron=HOURLY, missed=missed), SLOT, SLOT + late)

    assert found.fire == (None if fire is None else SLOT + timedelta(hours=fire))
    assert found.next == SLOT + timedelta(hours=behind)
    assert found.passed is passed


@pytest.mark.parametrize(("missed", "fires"), [("skip", False), ("once", True), ("all", True)])
def test_a_slot_that_is_none_by_new_rules_of_its_zone_is_missed_as_any_and_the_schedule_goes_on(
    missed, fires
):
    before = SLOT - timedelta(minutes=30)

    found = turn(Schedule(cron=HOURLY, missed=missed), before, before + timedelta(minutes=10))

    assert found.fire == (before if fires else None)
    assert found.next == SLOT


def test_all_makes_up_for_the_newest_slots_one_by_one_and_no_more():
    schedule, now = Schedule(every_s=1, missed="all"), SLOT + timedelta(days=30)
    slot, fired = SLOT, []

    while slot <= now:
        taken = turn(schedule, slot, now)
        fired.append(taken.fire)
        slot = taken.next

    # Those of the last minute are not missed: they would fire anyway, and they are among the newest.
    assert fired == [now - timedelta(seconds=n) for n in reversed(range(MOST_MISSED))]


ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"])
MOMENTS = st.integers(0, 3 * 366 * 86_400).map(
    lambda s: datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=s)
)
FIELDS = st.tuples(
    st.sampled_from(["*", "0", "*/7", "30", "5,50", "0-20/10"]),
    st.sampled_from(["*", "2", "0-3", "*/6", "1,2", "23"]),
    st.sampled_from(["*", "1", "L", "29-31", "13"]),
    st.sampled_from(["*", "*/3", "2", "10"]),
    st.sampled_from(["*", "SUN", "1-5", "MON#1"]),
)
SCHEDULES = st.one_of(
    st.builds(lambda fields, zone: Schedule(cron=" ".join(fields), timezone=zone), FIELDS, ZONES),
    st.builds(lambda s: Schedule(every_s=s), st.integers(1, 100_000)),
)


@settings(max_examples=150, deadline=None)
@given(SCHEDULES, MOMENTS, st.timedeltas(timedelta(0), timedelta(days=40)))
def test_slots_go_forward_and_are_the_same_from_wherever_they_are_looked_for(schedule, start, further):
    first = following(schedule, start)
    if first is None:
        return
    some = slots(schedule, start, 6)

    assert first > start
    assert all(before < behind for before, behind in pairwise(some))
    # From a moment between, the next one is found that was found from further back.
    for before, behind in pairwise(some):
        assert following(schedule, before + (behind - before) / 2) == behind
        assert following(schedule, behind - timedelta(microseconds=1)) == behind
    until = some[-1] + min(further, timedelta(days=2) if schedule.every_s is None else timedelta(0))
    last = newest(schedule, until, since=first, most=3)
    assert last == sorted(last)
    assert last[-1] <= until < (following(schedule, last[-1]) or until + timedelta(1))
