"""What the wall between orgs costs: reads as the kernel does them beside the same reads of a table without a wall.

"set page" is the floor: a page of the table without a policy, in a statement that sets the org all the same. All pages but
"plain page" are planned once, as "once page" is because it is told to.

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
import psutil
import uvloop
from msgspec import Struct

from polis.db import Batch, Database, Listing
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


OUR_PAGE = Listing(Note, PAGE.format(table="notes"), "uuid")
SET_PAGE = Listing(Note, PAGE.format(table="plain"), "uuid")


def readers(database, once):
    """The reads to compare, by name: each takes an org and an id. once: sessions told to plan a statement once."""
    batch = Batch(database, Note, LOOK_UP)
    plain_id, plain_page = BY_ID.format(table="plain"), PAGE.format(table="plain")
    our_id = BY_ID.format(table="notes")

    async def plain_by_id(org, key):
        return to_row(Note, await database.connections.read(plain_id, (org, key), None))

    async def plain_page_of(org, key):
        return to_rows(Note, await database.connections.read(plain_page, (org, key), None))

    async def by_id(org, key):
        return await database.tenant(org).row(Note, our_id, org, key)

    async def once_page(org, key):
        return to_rows(Note, await once.connections.read(plain_page, (org, key), None))

    async def set_page(org, key):
        return await database.tenant(org).page(SET_PAGE, key)

    async def page(org, key):
        return await database.tenant(org).page(OUR_PAGE, key)

    return {
        "plain by id": plain_by_id,
        "by id": by_id,
        "batch": batch.get,
        "plain page": plain_page_of,
        "once page": once_page,
        "set page": set_page,
        "page": page,
    }


def spent(server):
    """CPU seconds of this process and all of the server's."""
    processes = psutil.Process(server.process.pid).children(recursive=True)
    return time.process_time() + sum(sum(p.cpu_times()[:2]) for p in processes)


async def rate(server, read, keys, callers):
    """Reads per second, and per second of CPU, by so many callers, each with one read at a time."""
    before, end, done = spent(server), time.perf_counter() + SECONDS, 0

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
    return done / (time.perf_counter() - started), done / (spent(server) - before)


async def compare(server, databases, keys, callers, names):
    reads = readers(*databases)
    rates = {name: [] for name in names}
    for _ in range(ROUNDS):
        for name in names:
            rates[name].append(await rate(server, reads[name], keys, callers))
    for name in names:
        clock, cpu = (
            statistics.median(
                ours[by] / theirs[by] for ours, theirs in zip(rates[name], rates[names[0]], strict=True)
            )
            for by in (0, 1)
        )
        spread = f"{min(rates[name])[0]:,.0f}-{max(rates[name])[0]:,.0f}"
        sys.stdout.write(
            f"{callers:3} callers  {name:12} {spread:>15}/s  x {clock:.2f}  by CPU x {cpu:.2f}\n"
        )


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
    url = server.url("app_notebook", "a", "postgres")
    told = f"{url}&plan_cache_mode=force_generic_plan"
    databases = [await Database.open(each, service="notebook") for each in (url, told)]
    for callers in (1, CALLERS):
        await compare(server, databases, keys, callers, ["plain by id", "by id", "batch"])
        await compare(server, databases, keys, callers, ["once page", "plain page", "set page", "page"])
    for database in databases:
        await database.close()


if __name__ == "__main__":
    uvloop.run(main())
