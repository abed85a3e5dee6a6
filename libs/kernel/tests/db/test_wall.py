"""The wall between orgs, tried with raw SQL as the service's own role: every tenant table, two orgs, every verb."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import asyncpg
import pytest

TABLES = """
    select format('%I.%I', n.nspname, c.relname) as name, c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'notebook' and c.relkind = 'r' and coalesce(obj_description(c.oid), '') not like 'global:%'
    order by c.relname
"""
COLUMNS = """
    select quote_ident(a.attname) as name, a.atttypid::regtype::text as type from pg_attribute a
    where a.attrelid = $1 and a.attnum > 0 and not a.attisdropped and a.attnotnull and not a.atthasdef and a.attidentity = ''
    order by a.attnum
"""
VALUES = {
    "text": "'x'",
    "integer": "1",
    "bigint": "1",
    "bytea": "'\\x00'",
    "timestamp with time zone": "now()",
}


class Wall:
    """Two orgs, each with a row in every table, and the service's role acting in the first."""

    def __init__(self, app, admin, tables):
        self.app, self.admin, self.tables = app, admin, tables
        self.ours, self.theirs = uuid4(), uuid4()

    def insert(self, table, org):
        """A row of this org; every other id in it is the org's own too, so that references hold."""
        columns = self.tables[table]
        values = [f"'{org}'" if c["type"] == "uuid" else VALUES[c["type"]] for c in columns]
        return f"insert into {table} ({', '.join(c['name'] for c in columns)}) values ({', '.join(values)})"

    async def outcome(self, statement, org=None):
        """How many rows the role reads or touches in an org, or "refused"; undone afterwards."""
        transaction = self.app.transaction()
        await transaction.start()
        try:
            if org is not None:
                await self.app.execute("select set_config('polis.orgs', $1, true)", f"{{{org}}}")
            if statement.startswith("select"):
                return await self.app.fetchval(statement)
            return int((await self.app.execute(statement)).split()[-1])
        except asyncpg.InsufficientPrivilegeError:
            return "refused"
        finally:
            await transaction.rollback()

    async def may(self, table, verb):
        return await self.admin.fetchval("select has_table_privilege('app_notebook', $1, $2)", table, verb)


@pytest.fixture(scope="module")
async def wall(server):
    app = await asyncpg.connect(server.url("app_notebook", "a", "postgres"))
    admin = await asyncpg.connect(server.url(database="postgres"))
    tables = {row["name"]: await admin.fetch(COLUMNS, row["oid"]) for row in await admin.fetch(TABLES)}
    wall = Wall(app, admin, tables)
    for org in (wall.ours, wall.theirs):
        for table in tables:
            await admin.execute(wall.insert(table, org))
    yield wall
    await app.close()
    await admin.close()


async def test_the_tables_under_test_are_all_there_are(wall):
    assert set(wall.tables) == {"notebook.notes", "notebook.tags", "notebook.outbox", "notebook.idempotency"}


async def test_no_other_orgs_row_is_read_written_changed_or_deleted(wall):
    for table in wall.tables:
        touch = f"update {table} set org_id = org_id where org_id = '{wall.theirs}'"
        outcomes = {
            "select": await wall.outcome(
                f"select count(*) from {table} where org_id = '{wall.theirs}'", wall.ours
            ),
            "select all": await wall.outcome(f"select count(*) from {table}", wall.ours),
            "insert": await wall.outcome(wall.insert(table, wall.theirs), wall.ours),
            "update": await wall.outcome(touch, wall.ours),
            "delete": await wall.outcome(f"delete from {table} where org_id = '{wall.theirs}'", wall.ours),
        }
        assert outcomes["select"] == 0, table
        assert outcomes["select all"] == 1, table
        assert outcomes["insert"] == "refused", table
        assert outcomes["update"] in (0, "refused"), table
        assert outcomes["delete"] in (0, "refused"), table


async def test_an_own_row_cannot_be_given_to_another_org(wall):
    for table in wall.tables:
        given = await wall.outcome(f"update {table} set org_id = '{wall.theirs}'", wall.ours)
        assert given == "refused", table


async def test_own_rows_are_within_reach_of_every_verb_that_was_granted(wall):
    verbs = {
        "insert": wall.insert,
        "update": lambda table, org: f"update {table} set org_id = org_id where org_id = '{org}'",
        "delete": lambda table, org: f"delete from {table} where org_id = '{org}'",
    }
    for table in wall.tables:
        for verb, statement in verbs.items():
            org = uuid4() if verb == "insert" and table != "notebook.tags" else wall.ours
            if verb == "insert" and table == "notebook.tags":
                continue  # needs a note of its own; covered by the rows the fixture wrote
            done = await wall.outcome(statement(table, org), org)
            assert done == (1 if await wall.may(table, verb) else "refused"), (table, verb)


async def test_without_an_org_there_is_nothing_and_nothing_can_be_written(wall):
    for table in wall.tables:
        assert await wall.outcome(f"select count(*) from {table}") == 0
        assert await wall.outcome(wall.insert(table, wall.ours)) == "refused"


async def test_the_setting_of_an_earlier_transaction_is_gone(wall):
    assert await wall.outcome("select count(*) from notebook.notes", wall.ours) == 1

    assert await wall.app.fetchval("select current_setting('polis.orgs', true)") == ""
    assert await wall.outcome("select count(*) from notebook.notes") == 0


async def test_the_role_cannot_take_the_wall_down(wall):
    for statement in (
        "truncate notebook.notes",
        "alter table notebook.notes disable row level security",
        "drop policy tenant on notebook.notes",
        "set local role notebook_owner",
        "create table notebook.mine (id int)",
        "call notebook.tenant_table('colours')",
    ):
        assert await wall.outcome(statement, wall.ours) == "refused", statement


async def test_the_owner_is_bound_as_well(wall, url):
    migrator = await asyncpg.connect(url("polis_migrator"))
    await migrator.execute("set role notebook_owner")

    assert await migrator.fetchval("select count(*) from notebook.notes") == 0
    await migrator.execute("set role notebook_system")
    assert (
        await migrator.fetchval(
            "select count(*) from notebook.notes where org_id = any($1)", [wall.ours, wall.theirs]
        )
        == 2
    )
    await migrator.close()


async def test_a_service_sees_nothing_of_another(wall, url):
    other = await asyncpg.connect(url("app_other"))

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await other.fetch("select * from notebook.notes")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await other.execute("set role notebook_system")
    await other.close()


async def test_two_tenants_on_one_connection_never_see_each_other(open_database):
    """A setting that outlives its statement would show here."""
    database = await open_database(size=2)
    orgs = [uuid4(), uuid4()]
    for org in orgs:
        async with database.transaction([org]) as tx:
            await tx.execute("insert into notebook.notes (org_id, id, title) values ($1, $1, 'mine')", org)

    async def look(number):
        org = orgs[number % 2]
        if number % 3:
            return await database.tenant(org).rows(UUID, "select n.org_id from notebook.notes n"), org
        async with database.transaction([org]) as tx:
            return await tx.rows(UUID, "select n.org_id from notebook.notes n"), org

    for start in range(0, 2_000, 50):
        for seen, org in await asyncio.gather(*(look(n) for n in range(start, start + 50))):
            assert seen == [org]
    async with database.connections.use() as lease:
        assert await lease.fetch("select n.id from notebook.notes n") == []
