"""What row-level security itself lets an org do with public rows, whatever the statements forget."""

from __future__ import annotations

from uuid import uuid4

import asyncpg
import pytest

from polis.catalog import grants, units
from polis.catalog.access import SYSTEM_ORG
from polis.db import CheckViolation
from polis.db.lint import faults
from polis.proto.catalog import (
    Activate,
    ApplyChangeSet,
    Change,
    CompleteUpload,
    CreateChangeSet,
    CreateResource,
    CreateUpload,
    GetVersion,
    PublishVersion,
    PutPart,
    SignVersion,
)
from polis.proto.identity import Holder
from services.catalog.tests.test_grants import grant, placed, unit
from services.catalog.tests.test_signatures import Pen, statement

PUBLIC_READ = ["resources", "versions", "activations", "uses"]
USING = {"$use": "component/passthrough"}


@pytest.fixture
async def shown(ada):
    """A public resource with an active version, and the same of the org alone."""
    made = {}
    for visibility in ("public", "org"):
        resource = await ada.call(
            CreateResource(type="policy", key=visibility, content=USING, visibility=visibility)
        )
        await ada.call(PublishVersion(resource.id))
        await ada.call(Activate(resource.id, "production", 1))
        made[visibility] = resource
    return made


def column(table):
    return "id" if table == "resources" else "resource_id"


async def test_the_schema_keeps_the_rules_of_tenancy(stage):
    assert [fault for fault in await faults(stage.database.admin_url) if "catalog" in fault] == []


async def test_no_statement_reaches_a_row_of_another_org(ada, ben, filled, database, sql):
    for table in filled:
        row = (await sql(f"select to_jsonb(t)::text from catalog.{table} t where org_id = $1", ada.org_id))[
            0
        ][0]
        mine = "org_id = $1" + (" and visibility <> 'public'" if table in PUBLIC_READ else "")
        attempts = {
            f"select from catalog.{table} where {mine}": ada.org_id,
            f"update catalog.{table} set org_id = org_id where org_id = $1": ada.org_id,
            f"delete from catalog.{table} where org_id = $1": ada.org_id,
            f"insert into catalog.{table} select * from jsonb_populate_record(null::catalog.{table}, $1::text::jsonb)": row,
        }
        assert await touched(database, ada.org_id, next(iter(attempts)), ada.org_id) > 0
        for attempt, value in attempts.items():
            assert await touched(database, ben.org_id, attempt, value) == 0, attempt


async def touched(database, org_id, statement, value):
    """How many rows a statement touches; none when the database forbids it."""
    try:
        async with database.transaction([org_id]) as tx:
            return await tx.execute(statement, value)
    except asyncpg.InsufficientPrivilegeError:
        return 0


@pytest.fixture
async def filled(ada, shown, sql, database):
    """Every table of the catalog's own, each with a row of ada's org."""
    async with database.transaction([ada.org_id]) as tx:
        await grants.keep(tx, grant(ada.org_id, Holder("everyone"), "policy/*"))
        agent = placed(ada, uuid4())
        await units.keep(tx, unit(ada.org_id))
        await units.place(tx, agent)
    artifact, upload = [await ada.call(CreateUpload(name="file", size=3)) for _ in range(2)]
    for each in (artifact, upload):
        await ada.call(PutPart(each.id, 0, b"abc"))
    await ada.call(CompleteUpload(artifact.id))
    proposed = await ada.call(
        CreateChangeSet("A set", (Change("put", "policy", "made", content={}),), review=False)
    )
    await ada.call(ApplyChangeSet(proposed.id))
    pen = Pen()
    key = await ada.call(pen.add(ada.principal_id))
    version = await ada.call(GetVersion(shown["org"].id, "1"))
    await ada.call(SignVersion(shown["org"].id, "1", key.id, pen.sign(statement(version))))
    async with database.transaction([ada.org_id]) as tx:
        await tx.execute("insert into catalog.quotas (org_id, id) values ($1, $2)", ada.org_id, uuid4())
        await tx.execute(
            "insert into catalog.intents (org_id, upload_id, lapses_at) values ($1, $2, now())",
            ada.org_id,
            uuid4(),
        )
    tables = await sql(
        """
        select c.relname from pg_class c
        where c.relnamespace = 'catalog'::regnamespace and c.relkind = 'r'
            and c.relname not in ('outbox', 'published', 'inbox', 'relay', 'idempotency', 'migrations')
        """
    )
    return [row["relname"] for row in tables]


@pytest.mark.parametrize("table", PUBLIC_READ)
async def test_another_org_selects_public_rows_and_no_others(ada, ben, shown, database, table):
    ids = [resource.id for resource in shown.values()]

    async with database.transaction([ben.org_id]) as tx:
        seen = await tx.value(
            f"select array_agg({column(table)}) from catalog.{table} where {column(table)} = any($1)", ids
        )

    assert seen == [shown["public"].id]


@pytest.mark.parametrize("table", ["drafts", "activation_history"])
async def test_what_is_behind_a_public_resource_stays_in_its_org(ada, ben, shown, database, table):
    async with database.transaction([ben.org_id]) as tx:
        assert await tx.value(f"select count(*) from catalog.{table}") == 0


@pytest.mark.parametrize(
    "statement",
    [
        "update catalog.resources set name = 'taken' where id = $1",
        "update catalog.activations set number = 1 where resource_id = $1",
        "update catalog.drafts set content = '{}' where resource_id = $1",
        "select id from catalog.resources where id = $1 for update",
        "select id from catalog.resources where id = $1 for key share",
        "select resource_id from catalog.activations where resource_id = $1 for share",
    ],
)
async def test_no_statement_of_another_org_changes_or_locks_a_public_row(ben, shown, database, statement):
    async with database.transaction([ben.org_id]) as tx:
        assert await tx.execute(statement, shown["public"].id) == 0


async def test_no_row_is_written_into_another_org_or_given_to_it(ada, ben, shown, database):
    insert = """
        insert into catalog.resources (org_id, id, type, key, name, visibility, created_by, created_at, updated_at)
        values ($1, gen_random_uuid(), 'policy', 'smuggled', '', 'public', $1, now(), now())
        """
    give = "update catalog.resources set org_id = $1 where org_id = $2"
    for org_id in (ada.org_id, SYSTEM_ORG):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with database.transaction([ben.org_id]) as tx:
                await tx.execute(insert, org_id)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with database.transaction([ada.org_id]) as tx:
                await tx.execute(give, ben.org_id, ada.org_id)


@pytest.mark.parametrize(
    "change", ["update catalog.versions set content = '{}'", "delete from catalog.versions"]
)
async def test_nobody_changes_a_version_not_even_its_own_org(ada, shown, database, change):
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with database.transaction([ada.org_id]) as tx:
            await tx.execute(change)


async def test_the_database_itself_holds_a_digest_to_its_content(ada, shown, database):
    with pytest.raises(CheckViolation):
        async with database.transaction([ada.org_id]) as tx:
            await tx.execute(
                """
                insert into catalog.versions
                    (org_id, resource_id, number, digest, content, changelog, published_by, published_at)
                values ($1, $2, 2, $3, '{}', '', $1, now())
                """,
                ada.org_id,
                shown["org"].id,
                "0" * 64,
            )


async def test_what_becomes_public_or_private_takes_its_versions_along(ada, ben, shown, database, sql):
    ids = [resource.id for resource in shown.values()]
    await sql("update catalog.resources set visibility = 'org' where id = $1", shown["public"].id)
    await sql("update catalog.resources set visibility = 'public' where id = $1", shown["org"].id)

    async with database.transaction([ben.org_id]) as tx:
        for table in PUBLIC_READ:
            seen = await tx.value(
                f"select array_agg({column(table)}) from catalog.{table} where {column(table)} = any($1)", ids
            )
            assert seen == [shown["org"].id]
