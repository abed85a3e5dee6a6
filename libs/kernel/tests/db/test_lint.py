"""The lint reads the catalog: it finds nothing in what the kernel makes, and every fault that is put there."""

from __future__ import annotations

from uuid import uuid4

import asyncpg
import pytest

from polis.db.databases import create_database, drop_database
from polis.db.lint import faults, rules
from polis.db.migrate import migrate, provision

from .conftest import MIGRATIONS, PASSWORDS

SEEDED = {
    "alter table notebook.notes disable row level security": "notebook.notes has no row-level security",
    "alter table notebook.notes no force row level security": (
        "notebook.notes does not force row-level security on its owner"
    ),
    "drop policy tenant on notebook.notes": (
        "notebook.notes has no policy tenant for all commands of app_notebook alone"
    ),
    "alter policy tenant on notebook.notes to public": (
        "notebook.notes has no policy tenant for all commands of app_notebook alone"
    ),
    "alter policy tenant on notebook.notes using (true)": (
        "notebook.notes: policy tenant does not compare org_id with polis.orgs as tenant_table does"
    ),
    "alter policy tenant on notebook.notes with check (true)": (
        "notebook.notes: policy tenant does not compare org_id with polis.orgs as tenant_table does"
    ),
    "alter policy across_orgs on notebook.notes to app_notebook": (
        "notebook.notes: policy across_orgs is for app_notebook"
    ),
    "create policy more on notebook.notes to app_notebook using (true)": (
        "notebook.notes: policy more allows more than select"
    ),
    "create policy peek on notebook.notes for select using (true)": (
        "notebook.notes: policy peek is not named in the comment of the table"
    ),
    "create table notebook.loose (id uuid primary key)": (
        "notebook.loose has no column org_id uuid not null, and no comment that says why it is global"
    ),
    "alter table notebook.notes add unique (id)": "notebook.notes is unique across orgs: notebook.notes_id_key",
    "create unique index notes_alone on notebook.notes (title)": (
        "notebook.notes is unique across orgs: notebook.notes_alone"
    ),
    "create table other.things (id uuid primary key); alter table other.things owner to other_owner;"
    " alter table notebook.tags add column thing uuid references other.things": (
        "notebook.tags: foreign key tags_thing_fkey leaves the schema"
    ),
    "create unique index notes_id on notebook.notes (id); alter table notebook.notes add unique using index notes_id;"
    " alter table notebook.tags add foreign key (note_id) references notebook.notes (id)": (
        "notebook.tags: foreign key tags_note_id_fkey does not carry org_id, so it may point at another org"
    ),
    "create view notebook.titles as select title from notebook.notes; alter view notebook.titles owner to notebook_owner": (
        "notebook.titles is a view that reads as its owner: it lacks security_invoker"
    ),
    "create materialized view notebook.copy as select title from notebook.notes": (
        "notebook.copy is a materialized view, which row-level security does not reach"
    ),
    "create function notebook.all_of_them() returns bigint language sql security definer"
    " as 'select count(*) from notebook.notes'": "notebook.all_of_them runs as its owner: it is security definer",
    "alter table notebook.notes owner to app_notebook": "notebook.notes is owned by app_notebook",
    "grant truncate on notebook.notes to app_notebook": "app_notebook may truncate notebook.notes",
    "grant select on notebook.notes to app_other": "app_other may select notebook.notes",
    "grant select on notebook.notes to public": "public may select notebook.notes",
    "grant usage on schema notebook to app_other": "app_other has usage on schema notebook",
    "grant create on schema notebook to app_notebook": "app_notebook has create on schema notebook",
}
ROLES = {
    "alter role app_notebook bypassrls": "role app_notebook is not bound by row-level security",
    "alter role notebook_system login": "role notebook_system may log in",
    "alter role app_notebook createrole": "role app_notebook may create roles or databases",
    "grant notebook_owner to app_notebook": "role app_notebook is a member of notebook_owner",
    "grant notebook_system to app_notebook with inherit true": "role app_notebook is a member of notebook_system",
}


@pytest.fixture(scope="module")
async def scratch(server):
    """A database of its own to break things in."""
    name = f"lint_{uuid4().hex[:8]}"
    await create_database(server.url(database="postgres"), name)
    await provision(server.url(database=name), ["notebook", "other"], PASSWORDS)
    await migrate(server.url("polis_migrator", "m", name), "notebook", MIGRATIONS)
    yield server.url(database=name)
    await drop_database(server.url(database="postgres"), name)


@pytest.fixture
async def within(scratch):
    """Looks for faults inside a transaction that is undone, roles included."""
    connection = await asyncpg.connect(scratch, server_settings={"search_path": ""})
    transaction = connection.transaction()
    await transaction.start()
    yield connection
    await transaction.rollback()
    await connection.close()


async def found_by(connection):
    return [row["fault"] for row in await connection.fetch(rules())]


async def test_what_the_kernel_makes_has_no_fault(scratch):
    assert await faults(scratch) == []


async def test_the_process_itself_may_ask(server, url):
    assert await faults(url("app_notebook")) == []


@pytest.mark.parametrize(("change", "fault"), (SEEDED | ROLES).items(), ids=[*SEEDED, *ROLES])
async def test_a_fault_is_found(within, change, fault):
    await within.execute(change)

    assert fault in await found_by(within)
