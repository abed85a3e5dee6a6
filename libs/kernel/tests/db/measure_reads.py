"""What the wall between orgs costs: reads as the kernel does them beside the same reads of a table without a wall.

Run by hand: `python libs/kernel/tests/db/measure_reads.py`. Rounds alternate; ratios are medians over the rounds.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import uvloop
from msgspec import Struct

from polis.db import Batch, Database
from polis.db.migrate import migrate, provision
from polis.db.rows import to_row, to_rows
from polis.local.postgres import Postgres

ORGS, NOTES, ROUNDS, SECONDS, CALLERS = 200, 100, 7, 0.7, 64
FILL = """
    insert into notebook.notes (org_id, id, title)
    select o, gen_random_uuid(), 'note ' || n from unnest($1::uuid[]) o, generate_series(1, $2::int) n;
"""
PLAIN = """
    create table notebook.plain (like notebook.notes including all);
    insert into notebook.plain select * from notebook.notes;
    grant select on notebook.plain to app_notebook;
    vacuum analyze;
"""
BY_ID = "select n.id, n.title, n.stars from notebook.{table} n where n.org_id = $1 and n.id = $2"
PAGE = (
    "select n.id, n.title, n.stars from notebook.{table} n where n.org_id = $1 and (n.created_at, n.id) <= (now(), $2)"
    " order by n.created_at desc, n.id limit 20"
)
LOOK_UP = """
    select q.n, o.id, o.title, o.stars
    from unnest($1::uuid[], $2::uuid[]) with ordinality as q(org_id, id, n)
    join notebook.notes o on o.org_id = q.org_id and o.id = q.id
"""


class Note(Struct, frozen=True):
    id: UUID
    title: str
    stars: int


def readers(database):
    """The reads to compare, by name: each takes an org and an id."""
    batch = Batch(database, Note, LOOK_UP)
    plain_id, plain_page = BY_ID.format(table="plain"), PAGE.format(table="plain")
    our_id, our_page = BY_ID.format(table="notes"), PAGE.format(table="notes")

    async def plain_by_id(org, key):
        return to_row(Note, await database.connections.read(plain_id, (org, key), None))

    async def plain_page_of(org, key):
        return to_rows(Note, await database.connections.read(plain_page, (org, key), None))

    async def by_id(org, key):
        return await database.tenant(org).row(Note, our_id, org, key)

    async def page(org, key):
        return await database.tenant(org).rows(Note, our_page, org, key)

    return {
        "plain by id": plain_by_id,
        "by id": by_id,
        "batch": batch.get,
        "plain page": plain_page_of,
        "page": page,
    }


async def rate(read, keys, callers):
    """Reads per second by so many callers, each with one read at a time."""
    end, done = time.perf_counter() + SECONDS, 0

    async def caller(offset):
        nonlocal done
        number = offset
        while time.perf_counter() < end:
            org, key = keys[number % len(keys)]
            assert await read(org, key)
            number += 7
            done += 1

    started = time.perf_counter()
    await asyncio.gather(*(caller(n * 31) for n in range(callers)))
    return done / (time.perf_counter() - started)


async def compare(database, keys, callers, names):
    reads = readers(database)
    rates = {name: [] for name in names}
    for _ in range(ROUNDS):
        for name in names:
            rates[name].append(await rate(reads[name], keys, callers))
    plain = rates[names[0]]
    for name in names:
        ratio = statistics.median(ours / theirs for ours, theirs in zip(rates[name], plain, strict=True))
        spread = f"{min(rates[name]):,.0f}-{max(rates[name]):,.0f}"
        sys.stdout.write(f"{callers:3} callers  {name:12} {spread:>15}/s  x {ratio:.2f}\n")


async def main():
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # noqa: ASYNC240 - a script
        server = Postgres(Path(folder) / "data", password=uuid4().hex, log=Path(folder) / "log")
        await server.start()
        try:
            await measure(server)
        finally:
            await server.stop()


async def measure(server):
    await provision(
        server.url(database="postgres"), ["notebook"], {"polis_migrator": "m", "app_notebook": "a"}
    )
    await migrate(
        server.url("polis_migrator", "m", "postgres"), "notebook", Path(__file__).parent / "migrations"
    )
    admin = await asyncpg.connect(server.url(database="postgres"))
    await admin.execute(FILL, [uuid4() for _ in range(ORGS)], NOTES)
    for statement in filter(str.strip, PLAIN.split(";")):
        await admin.execute(statement)
    keys = [
        tuple(row)
        for row in await admin.fetch(
            "select org_id, id from notebook.notes order by md5(id::text) limit 5000"
        )
    ]
    await admin.close()
    database = await Database.open(server.url("app_notebook", "a", "postgres"), service="notebook")
    for callers in (1, CALLERS):
        await compare(database, keys, callers, ["plain by id", "by id", "batch"])
        await compare(database, keys, callers, ["plain page", "page"])
    await database.close()


if __name__ == "__main__":
    uvloop.run(main())
