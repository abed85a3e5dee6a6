"""The wall between orgs in every service's schema: the catalog's rules, and raw SQL of one org against another's rows.

The rows are made by the mesh itself, for two orgs that did the same things; the tables are those that the database has.
A table of tenants that these things left empty fails, so that a new one cannot be forgotten.
"""

from __future__ import annotations

from uuid import UUID, uuid4

import asyncpg
import pytest

from polis.cli.api import Api
from polis.db.lint import faults
from polis.proto.registry import SERVICES
from polis.testing import eventually
from tests.e2e.rows import (
    access,
    asks,
    catalog,
    handoffs,
    history,
    jobs,
    messaging,
    steering,
    triggers,
    vault,
)
from tests.e2e.world import new_key

OWNERS = [service.name for service in SERVICES if service.schema]
NOTE = {
    "nodes": {"note": {"component": "log"}},
    "inputs": {"value": {"target": "note.in", "required": False, "default": 1}},
}
"""A graph with an effect, so that its runs have a journal."""
TABLES = """
    select n.nspname as schema, c.relname as name, coalesce(obj_description(c.oid), '') as comment
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = any($1) and c.relkind in ('r', 'p') and not c.relispartition
      and coalesce(obj_description(c.oid), '') not like 'global:%'
    order by 1, 2
"""


async def live_a_little(api: Api) -> str:
    """Leave a row in every table of tenants; the org."""
    await api.sign_up()
    await api.call("POST", "/agents", {"key": "sarah", "name": "Sarah"})
    await api.call("POST", "/invitations", {"email": f"{new_key()}@example.org"})
    resource = await api.call("POST", "/resources", {"type": "graph", "key": "mine", "content": NOTE})
    await api.call("POST", f"/resources/{resource['id']}/versions", {})
    await api.call("PUT", f"/resources/{resource['id']}/activations/production", {"number": 1})
    await catalog.live(api)
    upload = await api.call("POST", "/uploads", {"name": "open", "size": 3})
    async with api._http.put(
        f"{api.address}/api/v1/uploads/{upload['id']}/parts/0", data=b"abc", headers=api._headers
    ) as answer:
        assert answer.status == 200
    async with api._http.post(
        f"{api.address}/api/v1/artifacts?name=stored", data=b"abc", headers=api._headers
    ) as answer:
        assert answer.status == 200
    headers = api._headers | {"Idempotency-Key": new_key()}
    for path, body in (
        ("/agents", {"key": "peter", "name": "Peter"}),
        ("/resources", {"type": "policy", "key": "rule", "content": {}}),
        ("/runs", {"graph": "mine"}),
    ):
        async with api._http.post(f"{api.address}/api/v1{path}", json=body, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
    run = await api.call("POST", "/runs", {"graph": "mine"})
    await eventually(lambda: _ended(api, run["id"]))
    return (await api.call("GET", "/me"))["org_id"]


async def _ended(api: Api, run_id: str) -> bool:
    return (await api.call("GET", f"/runs/{run_id}"))["state"] == "succeeded"


@pytest.fixture(scope="module")
async def orgs(mesh, address):
    found = []
    for _ in range(2):
        async with Api(address) as api:
            found.append(await live_a_little(api))
            await access.live(api, mesh)
            await vault.live(api, mesh)
            org = found[-1]
            await messaging.live(api, lambda service, table, org=org: _known(mesh, service, table, org))
            await handoffs.live(api, lambda service, table, org=org: _known(mesh, service, table, org))
            await asks.live(api)
            await steering.live(api)
            await triggers.live(api)
            await history.live(api)
            await jobs.live(api)
            await told(api, mesh, found[-1])
    return found


async def told(api: Api, mesh, org: str) -> None:
    """What other services keep of identity's: quotas of the org, an agent's place in it, and that it was stopped."""
    unit = await api.call("POST", "/units", {"kind": "project", "key": "told", "name": "Told"})
    await api.call("POST", "/agents", {"key": "placed", "name": "Placed", "unit_id": unit["id"]})
    await eventually(lambda: _known(mesh, "catalog", "placements", org))
    for meter, service in (("runs", "runtime"), ("storage", "catalog"), ("messages", "messaging")):
        quota = {"subject": {"kind": "org"}, "meter": meter, "period": "total", "most": 1_000_000}
        await api.call("PUT", "/quotas", quota)
        await eventually(lambda service=service: _known(mesh, service, "quotas", org))
    await api.call("POST", "/agents/placed/suspend", {})
    await eventually(lambda: _known(mesh, "runtime", "stopped_agents", org))
    await intend(mesh, org)
    await speak(mesh, org)
    await notice(mesh, org)
    await reply(mesh, org)
    await say(mesh, org)
    await post(mesh, org)


async def intend(mesh, org: str) -> None:
    """As a catalog leaves it that dies while it opens an upload: nobody who lives keeps one."""
    async with mesh.running["catalog"].kernel.database.transaction((UUID(org),)) as tx:
        await tx.execute(
            "insert into catalog.intents (org_id, upload_id, lapses_at) values ($1, $2, 'infinity')",
            UUID(org),
            uuid4(),
        )


async def speak(mesh, org: str) -> None:
    """As a long text stands that is being said: it is gone when its message is there."""
    async with mesh.running["messaging"].kernel.database.transaction((UUID(org),)) as tx:
        await tx.execute(
            "insert into messaging.stream_parts (org_id, stream_id, at, text) values ($1, $2, 0, 'Hello')",
            UUID(org),
            uuid4(),
        )


async def notice(mesh, org: str) -> None:
    """As somebody stands who has been told that something waits for them: they have not read it yet."""
    async with mesh.running["messaging"].kernel.database.transaction((UUID(org),)) as tx:
        await tx.execute(
            """
            insert into messaging.notices (org_id, principal_id, conversation_id, seq, last_seq, last_at, due_at)
            values ($1, $2, $3, 1, 1, now(), 'infinity')
            """,
            UUID(org),
            uuid4(),
            uuid4(),
        )


async def reply(mesh, org: str) -> None:
    """As a reply to an ask stands while it is answered: it is gone when it is settled."""
    async with mesh.running["messaging"].kernel.database.transaction((UUID(org),)) as tx:
        await tx.execute(
            """
            insert into messaging.asked_replies (org_id, conversation_id, seq, ask_id, asker_id, due_at)
            values ($1, $2, 1, $2, $2, 'infinity')
            """,
            UUID(org),
            uuid4(),
        )


async def say(mesh, org: str) -> None:
    """As a message to an agent stands that has not had its turn: it is gone when it is answered."""
    async with mesh.running["runtime"].kernel.database.transaction((UUID(org),)) as tx:
        await tx.execute(
            """
            insert into runtime.trigger_said (org_id, trigger_id, conversation_id, seq, event_seq, depth)
            select t.org_id, t.id, $2, 1, 1, 0 from runtime.triggers t where t.org_id = $1
            """,
            UUID(org),
            uuid4(),
        )


async def post(mesh, org: str) -> None:
    """As a notification stands that is on its way to a webhook: it is gone when it has arrived."""
    async with mesh.running["runtime"].kernel.database.transaction((UUID(org),)) as tx:
        await tx.execute(
            """
            insert into runtime.notification_posts (org_id, id, principal_id, conversation_id, unread, at, due_at)
            values ($1, $2, $2, $2, 1, now(), 'infinity')
            """,
            UUID(org),
            uuid4(),
        )


async def _known(mesh, service: str, table: str, org: str) -> bool:
    async with mesh.running[service].kernel.database.across_orgs() as tx:
        return await tx.value(f"select true from {service}.{table} t where t.org_id = $1", org)


@pytest.fixture(scope="module")
async def admin(mesh):
    connection = await asyncpg.connect(mesh.database.admin_url)
    yield connection
    await connection.close()


@pytest.fixture(scope="module")
async def tables(admin):
    return await admin.fetch(TABLES, OWNERS)


async def test_every_schema_keeps_the_rules_of_tenancy(mesh):
    assert await faults(mesh.database.admin_url) == []


async def test_both_orgs_have_rows_in_every_table_of_tenants(admin, tables, orgs):
    empty = [
        f"{table['schema']}.{table['name']}"
        for table in tables
        for org in orgs
        if not await admin.fetchval(
            f"select count(*) from {table['schema']}.{table['name']} where org_id = $1", org
        )
    ]

    assert empty == []


@pytest.mark.parametrize("service", OWNERS)
async def test_raw_sql_of_one_org_reaches_no_row_of_another(mesh, admin, tables, orgs, service):
    ours, theirs = orgs
    app = await asyncpg.connect(mesh.database.url(f"app_{service}"))
    try:
        for table in (t for t in tables if t["schema"] == service):
            name = f"{service}.{table['name']}"
            row = await admin.fetchrow(f"select * from {name} where org_id = $1 limit 1", theirs)
            columns = ", ".join(f'"{column}"' for column in dict(row))
            attempts = {
                "select": (f"select count(*) from {name} where org_id = $1", (theirs,)),
                "update": (f"update {name} set org_id = org_id where org_id = $1", (theirs,)),
                "delete": (f"delete from {name} where org_id = $1", (theirs,)),
                "insert": (
                    f"insert into {name} ({columns}) overriding system value values ({places(len(row))})",
                    tuple(row.values()),
                ),
            }
            for verb, (statement, arguments) in attempts.items():
                outcome = await attempt(app, ours, statement, arguments)
                assert outcome in (0, "refused"), (name, verb, outcome)
            assert await attempt(
                app,
                None,
                f"select count(*) from {name} where visibility <> 'public'"
                if "public_read" in table["comment"]
                else f"select count(*) from {name}",
                (),
            ) in (0, "refused")
    finally:
        await app.close()


@pytest.mark.parametrize("service", OWNERS)
async def test_a_service_reads_nothing_of_anothers_schema(mesh, tables, service):
    app = await asyncpg.connect(mesh.database.url(f"app_{service}"))
    try:
        for table in (t for t in tables if t["schema"] != service):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await app.fetch(f"select 1 from {table['schema']}.{table['name']}")
    finally:
        await app.close()


def places(count: int) -> str:
    return ", ".join(f"${n + 1}" for n in range(count))


async def attempt(app, org, statement, arguments):
    """How many rows it reads or touches in a transaction of this org, undone afterwards; or "refused"."""
    transaction = app.transaction()
    await transaction.start()
    try:
        if org is not None:
            await app.execute("select set_config('polis.orgs', $1, true)", f"{{{org}}}")
        if statement.startswith("select"):
            return await app.fetchval(statement, *arguments)
        return int((await app.execute(statement, *arguments)).split()[-1])
    except asyncpg.InsufficientPrivilegeError:
        return "refused"
    finally:
        await transaction.rollback()
