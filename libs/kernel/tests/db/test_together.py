"""Many callers in one statement: each gets its own answer, its own error, and nothing of another org."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import asyncpg
import pytest
from msgspec import Struct

from polis.db import Batch, CheckViolation, Deadline, GroupCommit, UniqueViolation
from polis.db.gather import Gathering
from polis.proto import Refused
from polis.proto.catalog import KeyTaken
from polis.proto.problems import DeadlineExceeded, Overloaded, Unavailable


class Note(Struct, frozen=True):
    id: UUID
    title: str
    stars: int = 0


class Claimed(Struct, frozen=True):
    org_id: UUID
    id: UUID


LOOK_UP = """
    select q.n, o.id, o.title, o.stars
    from unnest($1::uuid[], $2::uuid[]) with ordinality as q(org_id, id, n)
    join notebook.notes o on o.org_id = q.org_id and o.id = q.id
"""
BY_TITLE_AND_STARS = """
    select q.n, o.id, o.title, o.stars
    from unnest($1::uuid[], $2::text[], $3::int[]) with ordinality as q(org_id, title, stars, n)
    join notebook.notes o on o.org_id = q.org_id and o.title = q.title and o.stars = q.stars
"""


class Statements:
    """Stores groups of notes, and remembers how they came."""

    def __init__(self):
        self.groups = []

    async def write(self, tx, callers, notes):
        self.groups.append(len(notes))
        return await tx.rows(
            UUID,
            """
            insert into notebook.notes (org_id, id, title, stars)
            select org_id, id, title, stars
            from unnest($1::uuid[], $2::uuid[], $3::text[], $4::int[]) with ordinality as r(org_id, id, title, stars, n)
            order by n returning id
            """,
            [caller.org_id for caller in callers],
            [note.id for note in notes],
            [note.title for note in notes],
            [note.stars for note in notes],
        )


def note(title=None, stars=0):
    made = uuid4()
    return Note(made, title or str(made), stars)


async def outcomes(*calls):
    return await asyncio.gather(*calls, return_exceptions=True)


@pytest.fixture
def stored():
    return Statements()


@pytest.fixture
def commits(database, stored):
    return GroupCommit(database, stored.write)


@pytest.fixture
def look_up(database):
    return Batch(database, Note, LOOK_UP)


async def test_what_came_in_one_moment_is_committed_in_few_groups(commits, stored, look_up):
    orgs = [uuid4() for _ in range(5)]
    notes = [note() for _ in range(200)]

    answers = await asyncio.gather(*(commits.put(orgs[i % 5], each) for i, each in enumerate(notes)))

    assert answers == [each.id for each in notes]
    assert len(stored.groups) <= 3
    assert await asyncio.gather(*(look_up.get(orgs[i % 5], n.id) for i, n in enumerate(notes))) == notes


async def test_one_bad_record_fails_alone(commits, stored, org):
    good = [note() for _ in range(50)]

    results = await outcomes(*(commits.put(org, each) for each in (*good[:20], note(stars=-1), *good[20:])))

    assert [r for r in results if isinstance(r, UUID)] == [each.id for each in good]
    assert isinstance(results[20], CheckViolation)
    assert len(stored.groups) < 15


async def test_a_record_that_cannot_even_be_sent_fails_alone(commits, org):
    good = [note() for _ in range(6)]

    results = await outcomes(
        *(commits.put(org, each) for each in (*good, note(stars="many"), note(title="\0")))
    )

    assert results[:6] == [each.id for each in good]
    assert all(isinstance(r, asyncpg.PostgresError | asyncpg.InterfaceError) for r in results[6:])


async def test_of_two_equal_records_in_one_group_the_first_wins(commits, org):
    results = await outcomes(*(commits.put(org, note("same")) for _ in range(20)))

    assert [isinstance(r, UUID) for r in results] == [True] + [False] * 19
    assert all(isinstance(r, UniqueViolation) and r.constraint == "notes_title" for r in results[1:])


async def test_equal_keys_never_share_a_group(database, stored, org):
    """So that a repeat finds what the first one wrote, and can be answered from it."""

    async def once(tx, callers, notes):
        known = set(
            await tx.rows(
                str, "select n.title from notebook.notes n where n.title = any($1)", [n.title for n in notes]
            )
        )
        new = [n for n in notes if n.title not in known]
        await stored.write(tx, callers[: len(new)], new)
        return ["known" if n.title in known else "new" for n in notes]

    commits = GroupCommit(database, once, key=lambda n: n.title)

    answers = await asyncio.gather(*(commits.put(org, note(title)) for title in "abacaba"))

    assert answers == ["new", "new", "known", "new", "known", "known", "known"]


async def test_an_answer_may_be_a_refusal_of_that_record_alone(database, org):
    async def write(tx, callers, notes):
        await tx.value("select 1")
        return [Refused(KeyTaken("note", n.title)) if n.title == "taken" else n.title for n in notes]

    commits = GroupCommit(database, write)

    first, second = await outcomes(commits.put(org, note("taken")), commits.put(org, note("free")))

    assert isinstance(first, Refused)
    assert second == "free"


async def test_what_one_statement_leaves_alone_or_stumbles_over_is_stored_with_the_others(
    database, stored, org
):
    seen = []

    async def at_once(callers, notes):
        seen.append([n.title for n in notes])
        if any(n.stars for n in notes):
            raise Refused(Unavailable(dependency="postgresql")) if notes[0].stars > 5 else CheckViolation("x")
        return [n.id if n.title.startswith("plain") else None for n in notes]

    commits = GroupCommit(database, stored.write, at_once=at_once)
    notes = [note("plain 1"), note("other"), note("plain 2")]

    assert await asyncio.gather(*(commits.put(org, each) for each in notes)) == [n.id for n in notes]
    assert (seen, stored.groups) == ([["plain 1", "other", "plain 2"]], [1])
    assert await commits.put(org, (bad := note("plain 3", stars=1))) == bad.id
    [lost] = await outcomes(commits.put(org, note(stars=9)))
    assert isinstance(lost, Refused)
    assert stored.groups == [1, 1]


async def test_a_row_of_another_org_does_not_get_in_beside_that_orgs_own_records(database, org):
    """The wall holds per group: that the org of a record is its caller's is checked before it joins one."""
    other = uuid4()

    async def careless(tx, callers, records):
        for record in records:
            await tx.execute(
                "insert into notebook.notes (org_id, id, title) values ($1, $2, $2::uuid::text)",
                record.org_id,
                record.id,
            )
        return records

    commits = GroupCommit(database, careless)
    smuggled = Claimed(other, uuid4())

    first, second = await outcomes(commits.put(other, Claimed(other, uuid4())), commits.put(org, smuggled))

    assert isinstance(first, Claimed)
    assert isinstance(second, ValueError)
    assert (
        await database.tenant(other).rows(
            UUID, "select n.id from notebook.notes n where n.id = $1", smuggled.id
        )
        == []
    )


async def test_a_row_of_an_org_that_is_not_in_the_group_is_refused_by_the_database(database, org):
    async def smuggle(tx, callers, notes):
        await tx.execute(
            "insert into notebook.notes (org_id, id, title) values ($1, $1, 'smuggled')", uuid4()
        )
        return notes

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await GroupCommit(database, smuggle).put(org, note())


async def test_answers_are_given_after_the_commit_and_not_without_it(database, org):
    async def write(tx, callers, notes):
        await tx.execute(
            "insert into notebook.notes (org_id, id, title) values ($1, $2, 'a')",
            callers[0].org_id,
            notes[0].id,
        )
        await tx.execute("create temporary table if not exists t () on commit drop")
        return notes

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await GroupCommit(database, write).put(org, note())

    assert await database.tenant(org).rows(UUID, "select n.id from notebook.notes n") == []


async def test_what_waits_is_bounded(database, org):
    going = asyncio.Event()

    async def write(tx, callers, notes):
        await going.wait()
        return notes

    commits = GroupCommit(database, write, bound=10, largest=5)
    waiting = [asyncio.create_task(commits.put(org, note())) for _ in range(5)]
    await asyncio.sleep(0.01)
    waiting += [asyncio.create_task(commits.put(org, note())) for _ in range(10)]
    await asyncio.sleep(0.01)

    with pytest.raises(Refused) as refused:
        await commits.put(org, note())
    assert isinstance(refused.value.problem, Overloaded)
    going.set()
    assert len(await asyncio.gather(*waiting)) == 15


async def test_who_stopped_waiting_before_the_flush_is_not_written(database, org):
    going = asyncio.Event()
    written = []

    async def write(tx, callers, notes):
        await going.wait()
        written.extend(notes)
        return notes

    commits = GroupCommit(database, write)
    first = asyncio.create_task(commits.put(org, "first"))
    await asyncio.sleep(0.01)
    with pytest.raises(Refused) as refused:
        await commits.put(org, "late", deadline=Deadline.after(0.05))
    cancelled = asyncio.create_task(commits.put(org, "cancelled"))
    await asyncio.sleep(0)
    cancelled.cancel()
    going.set()
    await first
    await commits.put(org, "last")

    assert isinstance(refused.value.problem, DeadlineExceeded)
    assert written == ["first", "last"]


async def test_every_caller_of_a_batch_gets_its_own_row_and_none_of_another_org(database, commits, look_up):
    orgs = [uuid4() for _ in range(7)]
    notes = {org: [note() for _ in range(10)] for org in orgs}
    await asyncio.gather(*(commits.put(org, each) for org in orgs for each in notes[org]))

    async def ask(number):
        org, owner = orgs[number % 7], orgs[(number // 7) % 7]
        wanted = notes[owner][number % 10]
        return await look_up.get(org, wanted.id), wanted if org == owner else None

    for found, expected in await asyncio.gather(*(ask(n) for n in range(1_500))):
        assert found == expected


async def test_a_key_of_parts_takes_an_array_for_each(database, commits, org):
    batch = Batch(database, Note, BY_TITLE_AND_STARS)
    notes = [note(f"title {n}", n) for n in range(5)]
    await asyncio.gather(*(commits.put(org, each) for each in notes))

    found = await asyncio.gather(
        *(batch.get(org, (n.title, n.stars)) for n in notes), batch.get(org, ("title 1", 2))
    )

    assert found == [*notes, None]


async def test_the_same_key_is_asked_for_once(database, commits, org):
    wanted = note()
    await commits.put(org, wanted)
    before = await database.tenant(org).value(
        "select count(*) from notebook.notes n where n.org_id = $1", org
    )

    found = await asyncio.gather(*(Batch(database, Note, LOOK_UP).get(org, wanted.id) for _ in range(9)))

    assert before == 1
    assert found == [wanted] * 9


async def test_a_broken_statement_is_told_to_everyone(database, org):
    batch = Batch(database, Note, "select nothing")

    results = await outcomes(*(batch.get(org, uuid4()) for _ in range(3)))

    assert all(isinstance(r, asyncpg.PostgresError) for r in results)


async def test_a_group_of_which_nobody_waits_any_more_is_not_served(database, org):
    going, groups = asyncio.Event(), []

    async def serve(group):
        groups.append([asked.question for asked in group])
        await going.wait()
        for asked in group:
            asked.resolve(None)

    gathering = Gathering(serve, database.connections.watch, lanes=1, largest=8, bound=8)
    first = gathering.ask(org, "first", None)
    await asyncio.sleep(0)
    gathering.ask(org, "gone", None).cancel()
    going.set()
    await first
    await gathering.ask(org, "last", None)

    assert groups == [["first"], ["last"]]
