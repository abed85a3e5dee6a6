"""Reads of one org in one round trip: the plan that makes them safe, and what they give."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal
from uuid import UUID, uuid4

import msgspec
import pytest
from msgspec import Struct

from polis.db.tenant import in_orgs


class Note(Struct, frozen=True):
    id: UUID
    title: str
    stars: int = 0


class About(Struct, frozen=True):
    colour: Literal["red", "blue"]
    pages: int = 0


class FullNote(Struct, frozen=True, kw_only=True):
    about: About
    labels: tuple[str, ...]
    created_at: datetime


SHAPES = {
    "by id": "select n.id, n.title from notebook.notes n where n.org_id = $1 and n.id = $2",
    "a page": "select n.id, n.title from notebook.notes n where n.org_id = $1 and n.id > $2 order by n.created_at limit 9",
    "a forgotten org": "select n.id, n.title from notebook.notes n where n.title <> $2::uuid::text and $1::uuid is not null",
    "a join": (
        "select n.id, t.tag from notebook.notes n join notebook.tags t on t.org_id = n.org_id and t.note_id = n.id"
        " where n.org_id = $1 and n.id <> $2"
    ),
    "an aggregate": "select count(*) from notebook.notes n where n.org_id = $1 and n.id <> $2",
    "a union": (
        "(select n.id from notebook.notes n where n.org_id = $1 order by n.id limit 1)"
        " union all select n.id from notebook.notes n where n.org_id = $1 and n.id = $2"
    ),
    "a common table expression": (
        "with mine as materialized (select n.id from notebook.notes n where n.org_id = $1) select m.id from mine m where m.id = $2"
    ),
    "a comment at its end": "select n.id from notebook.notes n where n.org_id = $1 and n.id = $2 -- the one",
    "a subquery": "select (select max(n.title) from notebook.notes n where n.org_id = $1 and n.id = $2) as longest",
}


@pytest.fixture
async def notes(database, org):
    made = [Note(uuid4(), f"note {n:03}", n % 5) for n in range(40)]
    async with database.transaction([org]) as tx:
        await tx.execute(
            "insert into notebook.notes (org_id, id, title, stars) "
            "select $1, * from unnest($2::uuid[], $3::text[], $4::int[])",
            org, [n.id for n in made], [n.title for n in made], [n.stars for n in made],
        )  # fmt: skip
    return made


def nodes(plan):
    """The kinds of a plan's nodes, from its top, without those that only arrange columns."""
    own = [] if plan["Node Type"] == "Result" else [plan["Node Type"]]
    return [*own, *(kind for below in plan.get("Plans", ()) for kind in nodes(below))]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_no_table_is_scanned_before_the_org_is_set(database, org, shape, mode):
    """A limit stands above all that there is without it, and computes its offset before it asks for a row."""
    bare = f"select q.* from ({SHAPES[shape]}\n) as q"
    guarded = in_orgs(SHAPES[shape], 3)
    plans = []
    async with database.connections.use() as lease:
        for sql in (bare, guarded):
            await lease.execute(f"set plan_cache_mode = {mode}; prepare look (uuid, uuid, text) as {sql}")
            rows = await lease.fetch(
                f"explain (format json, verbose) execute look ('{org}', '{uuid4()}', '{{{org}}}')"
            )
            await lease.execute("deallocate look; reset plan_cache_mode")
            plans.append(rows[0][0][0]["Plan"])

    assert guarded.startswith(bare)
    assert guarded.removeprefix(bare) == " offset octet_length(set_config('polis.orgs', $3, true)) * 0"
    assert "'Relation Name': 'notes'" in str(plans[1])
    assert plans[1]["Node Type"] == "Limit"
    assert nodes(plans[1]) == ["Limit", *nodes(plans[0])]


@pytest.mark.parametrize("shape", SHAPES)
async def test_every_shape_of_read_is_answered(database, org, notes, shape):
    bound = UUID(int=0) if shape == "a page" else notes[0].id
    for _ in range(7):  # the sixth execution of a prepared statement may take another plan
        async with database.connections.use() as lease:
            rows = await lease.fetch(in_orgs(SHAPES[shape], 3), (org, bound, f"{{{org}}}"))
        assert shape == "a join" or any(rows[0])  # no note has a tag


async def test_a_query_that_forgets_its_org_gets_its_own_rows_alone(database, org, notes):
    rows = await database.tenant(org).rows(UUID, "select n.id from notebook.notes n")

    assert set(rows) == {note.id for note in notes}
    assert await database.tenant(uuid4()).rows(UUID, "select n.id from notebook.notes n") == []


async def test_order_is_kept(database, org, notes):
    tenant = database.tenant(org)
    sql = "select n.id, n.title, n.stars from notebook.notes n where n.org_id = $1 order by n.stars desc, n.title"

    rows = await tenant.rows(Note, sql, org)

    assert rows == sorted(notes, key=lambda n: (-n.stars, n.title))


async def test_the_setting_ends_with_the_statement(open_database, org, notes):
    database = await open_database(size=1)
    assert await database.tenant(org).row(Note, SHAPES["by id"], org, notes[0].id) == Note(
        notes[0].id, "note 000"
    )

    async with database.connections.use() as lease:
        assert await lease.fetch("select coalesce(current_setting('polis.orgs', true), '')") == [("",)]
        assert await lease.fetch("select n.id from notebook.notes n") == []


async def test_a_foreign_id_is_not_found(database, notes, org):
    stranger = uuid4()

    assert await database.tenant(stranger).row(Note, SHAPES["by id"], org, notes[0].id) is None
    assert await database.tenant(stranger).row(Note, SHAPES["by id"], stranger, notes[0].id) is None


async def test_a_read_cannot_write(database, org):
    import asyncpg

    with pytest.raises(asyncpg.PostgresError):
        await database.tenant(org).rows(UUID, "delete from notebook.notes returning id")


async def test_a_row_becomes_a_struct_with_nested_parts_checked(database, org):
    made = datetime(2026, 5, 1, tzinfo=UTC)
    insert = "insert into notebook.notes (org_id, id, title, labels, about, created_at) values ($1, $2, $3, $4, $5, $6)"
    async with database.transaction([org]) as tx:
        await tx.execute(insert, org, uuid4(), "good", ["a", "b"], About("red", 3), made)
    select = (
        "select n.created_at, n.labels, n.about from notebook.notes n where n.org_id = $1 and n.title = $2"
    )

    note = await database.tenant(org).row(FullNote, select, org, "good")

    assert note == FullNote(about=About("red", 3), labels=("a", "b"), created_at=made)


async def test_a_column_that_does_not_fit_its_field_is_an_error(database, org):
    async with database.transaction([org]) as tx:
        await tx.execute(
            "insert into notebook.notes (org_id, id, title, about) values ($1, $1, 'bad', $2)",
            org,
            {"colour": "green"},
        )
    select = "select n.created_at, n.labels, n.about from notebook.notes n where n.org_id = $1"

    with pytest.raises(msgspec.ValidationError, match="green"):
        await database.tenant(org).row(FullNote, select, org)


async def test_a_column_without_a_field_is_an_error(database, org, notes):
    with pytest.raises(TypeError, match="Note has no field for created_at"):
        await database.tenant(org).row(Note, "select n.id, n.title, n.created_at from notebook.notes n")


async def test_a_value_is_the_first_column_of_the_first_row(database, org, notes):
    tenant = database.tenant(org)

    assert await tenant.value("select count(*) from notebook.notes n where n.org_id = $1", org) == 40
    assert (
        await tenant.value(
            "select n.title from notebook.notes n where n.org_id = $1 and n.id = $2", org, uuid4()
        )
        is None
    )


async def test_an_org_is_a_uuid_and_nothing_else(database):
    with pytest.raises(TypeError):
        database.tenant("{}'; drop table notebook.notes; --")
    with pytest.raises(TypeError):
        database.transaction(["{}'; drop table notebook.notes; --"])
