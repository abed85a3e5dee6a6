"""Pages of many callers in one statement: each gets its own, in order, and nothing of another org."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest
from msgspec import Struct

from polis.db import Deadline, Listing
from polis.proto import Refused
from polis.proto.problems import DeadlineExceeded

BEGAN = datetime(2026, 5, 1, tzinfo=UTC)
ORGS = [UUID(int=n) for n in range(0x900, 0x906)]
NOTES = 30
TYPES = ("timestamptz", "bigint")
PAGE = """
    select n.org_id, n.title from notebook.notes n
    where n.org_id = $1 and n.created_at < $2 order by n.created_at desc, n.id limit $3
"""
FORGETFUL = """
    select n.org_id, n.title from notebook.notes n
    where n.created_at < $2 and (n.org_id = $1 or true) order by n.created_at desc, n.id limit $3
"""


class Note(Struct, frozen=True):
    org_id: UUID
    title: str


NOTES_BEFORE = Listing(Note, PAGE, *TYPES)


def moment(number):
    return BEGAN + timedelta(minutes=number)


def before(org, number, limit):
    """What a page has to be: the notes in front of a moment, the newest first."""
    return [Note(org, f"note {n}") for n in range(number - 1, -1, -1)][:limit]


@pytest.fixture
async def filled(database):
    fill = """
        insert into notebook.notes (org_id, id, title, created_at)
        select $1, gen_random_uuid(), 'note ' || n, $2::timestamptz + n * interval '1 minute' from generate_series(0, $3) n
        on conflict do nothing
    """
    for org in ORGS:
        async with database.transaction([org]) as tx:
            await tx.execute(fill, org, BEGAN, NOTES - 1)
    return database


async def test_every_caller_gets_its_own_page_in_order_alone_and_among_others(filled):
    asked = [(ORGS[n % 6], n * 7 % (NOTES + 1), n % 9 + 1) for n in range(200)]

    together = await asyncio.gather(
        *(filled.tenant(o).page(NOTES_BEFORE, moment(at), size) for o, at, size in asked)
    )
    one_by_one = [await filled.tenant(o).page(NOTES_BEFORE, moment(at), size) for o, at, size in asked[:20]]

    assert together == [before(*each) for each in asked]
    async with filled.transaction([ORGS[1]]) as tx:
        assert await tx.page(NOTES_BEFORE, moment(9), 4) == before(ORGS[1], 9, 4)
    assert one_by_one == [before(*each) for each in asked[:20]]


async def test_a_page_that_does_not_hold_to_its_org_shows_no_org_that_nobody_asked_for(filled):
    forgetful = Listing(Note, FORGETFUL, *TYPES)

    async def look(org):
        return await filled.tenant(org).page(forgetful, moment(NOTES), 100)

    alone = await look(ORGS[0])
    pages = await asyncio.gather(*(look(org) for org in ORGS[:3]))

    with pytest.raises(ValueError, match=r"org_id = \$1"):
        Listing(Note, PAGE.replace("n.org_id = $1", "true"), *TYPES)
    assert {note.org_id for note in alone} == {ORGS[0]}
    assert {note.org_id for page in pages for note in page} == set(ORGS[:3])
    async with filled.connections.use() as lease:
        assert await lease.fetch("select coalesce(current_setting('polis.orgs', true), '')") == [("",)]
        assert await lease.fetch("select n.id from notebook.notes n") == []


async def test_a_page_is_of_the_caller_alone_also_when_another_asks_for_the_same(filled):
    found = await asyncio.gather(*(filled.tenant(ORGS[0]).page(NOTES_BEFORE, moment(5), 2) for _ in range(3)))
    found[1].clear()

    assert found == [before(ORGS[0], 5, 2), [], before(ORGS[0], 5, 2)]


@pytest.mark.parametrize("form", ["alone", "together"])
async def test_a_page_is_planned_once_for_all_places(filled, form):
    sql = getattr(NOTES_BEFORE, form)
    async with filled.connections.use() as lease:
        for n in range(12):
            parts = (ORGS[n % 6], moment(n * 2), n + 1)
            arguments = parts if form == "alone" else [[part] for part in parts]
            await lease.fetch(sql, (*arguments, f"{{{ORGS[n % 6]}}}"))
        [plans] = await lease.fetch(
            "select generic_plans, custom_plans from pg_prepared_statements where statement = $1", (sql,)
        )

    assert plans["generic_plans"] >= 7


async def test_a_defect_is_told_to_everyone_and_a_late_answer_is_not_waited_for(filled):
    broken = Listing(Note, "select nothing where org_id = $1")
    slow = Listing(
        Note,
        "select n.org_id, n.title from notebook.notes n, pg_sleep($2) where n.org_id = $1 order by n.title limit 1",
        "float8",
    )

    defects = await asyncio.gather(*(filled.tenant(org).page(broken) for org in ORGS), return_exceptions=True)
    with pytest.raises(Refused) as refused:
        await filled.tenant(ORGS[0], deadline=Deadline.after(0.05)).page(slow, 1.0)
    after = await asyncio.gather(*(filled.tenant(org).page(slow, 0.0) for org in ORGS))

    assert all(isinstance(defect, asyncpg.PostgresError) for defect in defects)
    assert isinstance(refused.value.problem, DeadlineExceeded)
    assert after == [[Note(org, "note 0")] for org in ORGS]
