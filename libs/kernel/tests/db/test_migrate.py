"""Migrations: each applied once, in order, by one migrator at a time, whatever interrupts it; nothing is guessed."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import asyncpg
import pytest

from polis.db import Database, check_schema
from polis.db.databases import create_database, drop_database
from polis.db.lint import faults
from polis.db.migrate import MigrationRefused, migrate, migrations_of, provision

from .conftest import PASSWORDS

THINGS = """
create table notebook.things (org_id uuid not null, id uuid not null, size int, primary key (org_id, id));
call notebook.tenant_table('things');
"""
KERNEL = ["kernel/0001_kernel.sql", "kernel/0002_published.sql"]


@pytest.fixture
async def place(server):
    """An empty database with roles and schemas: the URLs of a role in it."""
    name = f"migrate_{uuid4().hex[:8]}"
    await create_database(server.url(database="postgres"), name)
    await provision(server.url(database=name), ["notebook"], PASSWORDS)
    yield lambda role="postgres": server.url(role, PASSWORDS.get(role, ""), name)
    await drop_database(server.url(database="postgres"), name)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "0001_things.sql").write_text(THINGS)
    (tmp_path / "0002_more.sql").write_text("alter table notebook.things add column colour text;")
    return tmp_path


@pytest.fixture
async def look(place):
    connection = await asyncpg.connect(place())
    yield connection.fetchval
    await connection.close()


APPLIED = "select array_agg(name order by applied_at, name) from notebook.migrations"


async def test_what_is_missing_is_applied_and_nothing_twice(place, folder, look):
    first = await migrate(place("polis_migrator"), "notebook", folder)
    (folder / "0003_last.sql").write_text("alter table notebook.things add column shape text;")
    second = await migrate(place("polis_migrator"), "notebook", folder)
    third = await migrate(place("polis_migrator"), "notebook", folder)

    assert first == [*KERNEL, "0001_things.sql", "0002_more.sql"]
    assert (second, third) == (["0003_last.sql"], [])
    assert await faults(place()) == []


async def test_everything_belongs_to_the_owner_and_nothing_to_the_migrator(place, folder, look):
    await migrate(place("polis_migrator"), "notebook", folder)

    owners = "select array_agg(distinct pg_get_userbyid(relowner)::text) from pg_class where relnamespace = 'notebook'::regnamespace"
    assert await look(owners) == ["notebook_owner"]


async def test_an_applied_file_that_was_changed_stops_everything(place, folder):
    await migrate(place("polis_migrator"), "notebook", folder)
    (folder / "0001_things.sql").write_text(THINGS + " ")

    with pytest.raises(MigrationRefused, match=r"0001_things\.sql was changed"):
        await migrate(place("polis_migrator"), "notebook", folder)


async def test_a_schema_newer_than_the_release_is_left_alone(place, folder):
    await migrate(place("polis_migrator"), "notebook", folder)
    (folder / "0002_more.sql").unlink()

    with pytest.raises(MigrationRefused, match=r"newer than this release: it has 0002_more\.sql"):
        await migrate(place("polis_migrator"), "notebook", folder)


async def test_a_file_that_comes_before_an_applied_one_is_refused(place, folder):
    (folder / "0003_last.sql").write_text("select 1;")
    (folder / "0002_more.sql").unlink()
    await migrate(place("polis_migrator"), "notebook", folder)
    (folder / "0002_late.sql").write_text("select 2;")

    with pytest.raises(MigrationRefused, match=r"0002_late\.sql comes before"):
        await migrate(place("polis_migrator"), "notebook", folder)


@pytest.mark.parametrize("name", ["1_short.sql", "0003.sql", "0003_Upper.sql", "0003 space.sql"])
def test_a_badly_named_file_is_refused(folder, name):
    (folder / name).write_text("select 1;")

    with pytest.raises(MigrationRefused, match="NNNN_noun"):
        migrations_of("notebook", folder)


def test_two_files_of_one_number_are_refused(folder):
    (folder / "0002_again.sql").write_text("select 1;")

    with pytest.raises(MigrationRefused, match="two migrations of notebook are number 0002"):
        migrations_of("notebook", folder)


@pytest.mark.parametrize("service", ["", "Notebook", "note-book", "x; drop schema y", "a" * 40])
async def test_a_service_is_a_plain_name(place, folder, service):
    with pytest.raises(ValueError, match="not a name of a service"):
        await migrate(place("polis_migrator"), service, folder)


async def test_a_file_that_fails_leaves_nothing_behind_and_those_before_it_stay(place, folder, look):
    (folder / "0002_more.sql").write_text("create table notebook.half (id int); select 1/0;")

    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(place("polis_migrator"), "notebook", folder)

    assert await look(APPLIED) == [*KERNEL, "0001_things.sql"]
    assert await look("select to_regclass('notebook.half')") is None
    (folder / "0002_more.sql").write_text("create table notebook.half (id int);")
    assert await migrate(place("polis_migrator"), "notebook", folder) == ["0002_more.sql"]


async def test_of_five_migrators_at_once_one_does_the_work(place, folder):
    (folder / "0002_more.sql").write_text("select pg_sleep(0.1);")

    applied = await asyncio.gather(*(migrate(place("polis_migrator"), "notebook", folder) for _ in range(5)))

    assert sorted(map(len, applied)) == [0, 0, 0, 0, 2 + len(KERNEL)]


async def test_an_interrupted_migration_is_taken_up_again(place, folder, look):
    """The connection is cut at twenty points of the way; what is there is always a beginning of the list."""
    names = [*KERNEL, "0001_things.sql", "0002_more.sql", *(f"{n:04}_step.sql" for n in range(3, 20))]
    for name in names[len(KERNEL) + 2 :]:
        step = name[:4]
        (folder / name).write_text(f"create table notebook.step_{step} (id int); select pg_sleep(0.005);")
    cuts = 0
    for cut in range(20):
        migrating = asyncio.create_task(migrate(place("polis_migrator"), "notebook", folder))
        await asyncio.wait([migrating], timeout=0.02 + 0.005 * cut)
        cuts += migrating.cancel()
        await asyncio.wait([migrating])
        if await look("select to_regclass('notebook.migrations')") is not None:
            applied = sorted(await look(APPLIED) or [], key=names.index)
            assert applied == names[: len(applied)]

    await migrate(place("polis_migrator"), "notebook", folder)

    assert cuts > 0
    assert sorted(await look(APPLIED), key=names.index) == names
    assert (
        await look("select count(*) from pg_tables where schemaname = 'notebook' and tablename like 'step_%'")
        == 17
    )


async def test_an_online_file_runs_outside_of_a_transaction(place, folder, look):
    (folder / "0003_index.online.sql").write_text(
        "-- Two statements; each ends its line.\n"
        "create index concurrently if not exists things_size on notebook.things (org_id, size);\n"
        "create index concurrently if not exists things_colour\n    on notebook.things (org_id, colour);\n"
    )

    await migrate(place("polis_migrator"), "notebook", folder)

    valid = "select array_agg(i.indexrelid::regclass::text order by i.indexrelid::regclass::text) from pg_index i where i.indisvalid and i.indexrelid::regclass::text like 'notebook.things_%'"
    assert await look(valid) == ["notebook.things_colour", "notebook.things_pkey", "notebook.things_size"]


async def test_an_online_file_that_was_interrupted_begins_again(place, folder, look):
    """What it left half built has the name of the real thing and would be taken for it."""
    await migrate(place("polis_migrator"), "notebook", folder)
    owner = await asyncpg.connect(place())
    await owner.execute(
        "insert into notebook.things select gen_random_uuid(), gen_random_uuid(), 1 from generate_series(1, 2)"
    )
    with pytest.raises(asyncpg.UniqueViolationError):
        await owner.execute("create unique index concurrently things_size on notebook.things (size)")
    await owner.execute("alter index notebook.things_size owner to notebook_owner")
    await owner.close()
    (folder / "0003_index.online.sql").write_text(
        "create index concurrently if not exists things_size on notebook.things (org_id, size);"
    )

    await migrate(place("polis_migrator"), "notebook", folder)

    assert await look(
        "select indisvalid and not indisunique from pg_index where indexrelid = 'notebook.things_size'::regclass"
    )


async def test_a_migration_changes_rows_of_tenants_as_the_system_role(place, folder, look):
    await migrate(place("polis_migrator"), "notebook", folder)
    await look("insert into notebook.things values (gen_random_uuid(), gen_random_uuid(), 1)")
    (folder / "0003_fill.sql").write_text(
        "set local role notebook_system;\nupdate notebook.things set colour = 'red';\n"
        "set local role notebook_owner;\nalter table notebook.things alter column colour set not null;\n"
    )

    await migrate(place("polis_migrator"), "notebook", folder)

    assert await look("select colour from notebook.things") == "red"


async def test_a_service_starts_on_exactly_its_schema(place, folder):
    await migrate(place("polis_migrator"), "notebook", folder)
    database = await Database.open(place("app_notebook"), service="notebook")

    await check_schema(database, "notebook", folder)
    (folder / "0003_last.sql").write_text("select 1;")
    with pytest.raises(MigrationRefused, match=r"not migrated yet: 0003_last\.sql"):
        await check_schema(database, "notebook", folder)
    (folder / "0003_last.sql").unlink()
    (folder / "0002_more.sql").unlink()
    with pytest.raises(MigrationRefused, match="newer"):
        await check_schema(database, "notebook", folder)
    await database.close()


async def test_what_was_not_provided_yet_is_said(server, place, folder):
    with pytest.raises(MigrationRefused, match="scratch: its schema is not provided yet"):
        await migrate(place("polis_migrator"), "scratch", folder)

    database = await Database.open(place(), service="notebook")
    with pytest.raises(MigrationRefused, match="notebook: not migrated yet"):
        await check_schema(database, "notebook", folder)
    await database.close()


async def test_provisioning_again_changes_passwords_and_nothing_else(place, folder):
    await migrate(place("polis_migrator"), "notebook", folder)

    await asyncio.gather(
        *(provision(place(), ["notebook"], PASSWORDS | {"app_notebook": "new"}) for _ in range(3))
    )

    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(place("app_notebook"))
    await (await asyncpg.connect(place("app_notebook").replace(":a@", ":new@"))).close()
    await provision(place(), ["notebook"], PASSWORDS)
    assert await faults(place()) == []


async def test_vectors_are_at_hand_and_their_operators_found(place, folder):
    database = await Database.open(place("app_notebook"), service="notebook")

    async with database.connections.use() as lease:
        rows = await lease.fetch("select '[1,2]'::extensions.vector <=> '[1,2]'::extensions.vector")

    assert rows[0][0] == 0
    await database.close()
