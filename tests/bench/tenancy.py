"""What tenant isolation costs: reads through the wall beside the same reads with an explicit WHERE and no wall."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg
import uvloop
from msgspec import Struct

from polis.db import Batch, Database, Listing
from polis.db.migrate import migrate
from polis.db.provision import MIGRATOR, provision
from polis.db.rows import to_row, to_rows
from tests.bench.figures import Figure, Point, beside

if TYPE_CHECKING:
    from tests.bench.mesh import Mesh

ROUNDS = 5
POINT_S = 0.5
ORGS, ROWS = 50, 2_000
PAGE = 50
_PEER = "explicit WHERE, no RLS"
_COLUMNS = "org_id, id, title, body, created_at"
_BY_ID = f"select {_COLUMNS} from bench.items where org_id = $1 and id = $2"
_PAGE = f"""
    select {_COLUMNS} from bench.items where org_id = $1 and created_at < $2
    order by created_at desc, id limit {PAGE}
"""
_TOGETHER = """
    select q.n, i.org_id, i.id, i.title, i.body, i.created_at
    from unnest($1::uuid[], $2::uuid[]) with ordinality as q(org_id, id, n)
    join bench.items i on i.org_id = q.org_id and i.id = q.id
"""
_FILL = """
    insert into bench.items
    select md5('org' || o)::uuid, md5(o || '/' || n)::uuid, 'item ' || n, repeat('text ', 30),
        timestamptz '2026-01-01' + n * interval '1 minute'
    from generate_series(1, $1::int) o, generate_series(1, $2::int) n
"""

Read = Callable[[], Awaitable[object]]
Spent = tuple[list[Point], list[Point]]
"""Reads for a second of CPU, of this process and PostgreSQL's: other work on the machine moves that less than the clock."""


class Item(Struct, frozen=True):
    org_id: UUID
    id: UUID
    title: str
    body: str
    created_at: datetime


_ITEMS = Listing(Item, _PAGE, "timestamptz")


def measure(mesh: Mesh, wanted: set[str]) -> list[Figure]:
    """Figures of B10."""
    del wanted
    return uvloop.run(_measure(mesh))


async def _measure(mesh: Mesh) -> list[Figure]:
    keys = await _filled(mesh)
    async with AsyncExitStack() as stack:
        walled = await Database.open(_url(mesh), service="bench")
        stack.push_async_callback(walled.close)
        free = await Database.open(mesh.postgres_url(), service="bench")
        stack.push_async_callback(free.close)
        once = await Database.open(
            f"{mesh.postgres_url()}?plan_cache_mode=force_generic_plan", service="bench"
        )
        stack.push_async_callback(once.close)
        reads = Reads(walled, free, once, keys, lambda: time.process_time() + mesh.cpu_s()["postgresql"])
        figures = [await _by_id(reads, how, callers, bar) for how, callers, bar in _BY_ID_BARS]
        for callers in (1, 64):
            for peer in _PAGE_PEERS:
                figures += await _pages(reads, callers, peer)
        return figures


_BY_ID_BARS = (("one", 1, 0.85), ("together", 1, 0.85), ("one", 64, None), ("together", 64, 1.2))
_HOW = {"one": "a statement each", "together": "batched"}


async def _by_id(reads: Reads, how: str, callers: int, bar: float | None) -> Figure:
    ours, peers, _ = await _in_turn(getattr(reads, how), reads.explicit, callers, reads.cpu_s)
    name = f"by-id reads through the wall, {_HOW[how]}, {callers} caller{'s' if callers > 1 else ''}"
    return beside("B10", name, ours, _PEER, peers, bar=bar, unit="reads/s")


_PAGE_PEERS = {"explicit_page": _PEER, "planned_page": f"{_PEER}, told to plan it once"}


async def _pages(reads: Reads, callers: int, peer: str) -> list[Figure]:
    """Beside the page as PostgreSQL plans it by itself, which is anew at each call, and beside one told to do as ours does."""
    ours, peers, spent = await _in_turn(reads.page, getattr(reads, peer), callers, reads.cpu_s)
    name = f"pages of {PAGE} through the wall, {callers} caller{'s' if callers > 1 else ''}"
    return [
        beside("B10", name, ours, _PAGE_PEERS[peer], peers, bar=0.95, unit="pages/s"),
        beside("B10", f"{name}, by CPU", spent[0], _PAGE_PEERS[peer], spent[1], bar=0.95, unit="pages/CPU s"),
    ]


class Reads:
    """The same rows in each of the ways; the peer's as the superuser, whom no policy concerns, by the same client."""

    def __init__(
        self,
        walled: Database,
        free: Database,
        once: Database,
        keys: list[tuple[UUID, UUID]],
        cpu_s: Callable[[], float],
    ) -> None:
        self.cpu_s = cpu_s
        self._walled = walled
        self._free = free
        self._once = once
        self._keys = keys
        self._batch: Batch[UUID, Item] = Batch(walled, Item, _TOGETHER)
        self._random = random.Random(7)

    async def one(self) -> object:
        org, id_ = self._random.choice(self._keys)
        return await self._walled.tenant(org).row(Item, _BY_ID, org, id_)

    async def together(self) -> object:
        org, id_ = self._random.choice(self._keys)
        return await self._batch.get(org, id_)

    async def explicit(self) -> object:
        org, id_ = self._random.choice(self._keys)
        return to_row(Item, await self._free.connections.read(_BY_ID, (org, id_), None))

    async def page(self) -> object:
        org, before = self._place()
        return await self._walled.tenant(org).page(_ITEMS, before)

    async def explicit_page(self) -> object:
        return to_rows(Item, await self._free.connections.read(_PAGE, self._place(), None))

    async def planned_page(self) -> object:
        return to_rows(Item, await self._once.connections.read(_PAGE, self._place(), None))

    def _place(self) -> tuple[UUID, datetime]:
        org, _ = self._random.choice(self._keys)
        return org, datetime.fromisoformat(f"2026-01-02T{self._random.randrange(24):02}:00:00+00:00")


async def _in_turn(
    ours: Read, peer: Read, callers: int, cpu_s: Callable[[], float]
) -> tuple[list[Point], list[Point], Spent]:
    """Both in turn, the first one changing, after a round that does not count; and what CPU they took."""
    found: Spent = ([], [])
    spent: Spent = ([], [])
    for n in range(ROUNDS + 1):
        pair = [(0, ours), (1, peer)] if n % 2 else [(1, peer), (0, ours)]
        for which, read in pair:
            began = cpu_s()
            point, reads = await _rate(read, callers)
            found[which].append(point)
            spent[which].append(Point(reads / (cpu_s() - began)))
    return found[0][1:], found[1][1:], (spent[0][1:], spent[1][1:])


async def _rate(read: Read, callers: int) -> tuple[Point, int]:
    waits: list[float] = []
    began = time.perf_counter()
    until = began + POINT_S

    async def call() -> None:
        while (begun := time.perf_counter()) < until:
            if not await read():
                raise RuntimeError("a row was not found")
            waits.append(time.perf_counter() - begun)

    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(call())
    rate = len(waits) / (time.perf_counter() - began)
    waits.sort()
    if callers == 1:  # by the median wait, which other work on the machine moves less than the mean
        rate = 1 / waits[len(waits) // 2]
    return Point(rate, waits[len(waits) // 2] * 1000, waits[len(waits) * 99 // 100] * 1000), len(waits)


async def _filled(mesh: Mesh) -> list[tuple[UUID, UUID]]:
    """Make the schema and its rows; where they are."""
    passwords = {MIGRATOR: mesh.home.secret(f"postgres-{MIGRATOR}"), "app_bench": _password(mesh)}
    await provision(mesh.postgres_url(), ["bench"], passwords)
    await migrate(mesh.postgres_url(MIGRATOR), "bench", Path(__file__).with_name("migrations"))
    admin = await asyncpg.connect(mesh.postgres_url())
    await admin.execute(_FILL, ORGS, ROWS)
    await admin.execute("vacuum analyze bench.items")
    rows = await admin.fetch("select org_id, id from bench.items where title like '%7'")
    await admin.close()
    return [(row["org_id"], row["id"]) for row in rows]


def _password(mesh: Mesh) -> str:
    return mesh.home.secret("postgres-app_bench")


def _url(mesh: Mesh) -> str:
    _password(mesh)
    return mesh.postgres_url("app_bench")
