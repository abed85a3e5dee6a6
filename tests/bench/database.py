"""What a bench asks the database of its mesh, as who may do everything: that work is done, a value, a statement."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import asyncpg

if TYPE_CHECKING:
    from tests.bench.mesh import Mesh

_DRAIN_S = 20.0
_OFTEN_S = 0.1


def drained(mesh: Mesh, *, within_s: float = _DRAIN_S) -> None:
    """Wait until the events of the runs are out, so that nothing of ours works while something else is measured."""
    until(
        mesh,
        "select (select count(*) from runtime.outbox) = (select coalesce(sum(cardinality(ns)), 0) from runtime.published)",
        within_s=within_s,
    )


def until(mesh: Mesh, sql: str, *, within_s: float, often_s: float = _OFTEN_S) -> bool:
    """Ask until the answer is true, at the most for so long; whether it became so."""
    stop = time.monotonic() + within_s
    while not value(mesh, sql):
        if time.monotonic() > stop:
            return False
        time.sleep(often_s)
    return True


def value(mesh: Mesh, sql: str, *arguments: object) -> Any:
    """The first column of the first row."""
    return asyncio.run(_asked(mesh.postgres_url(), "fetchval", sql, *arguments))


def execute(mesh: Mesh, sql: str, *arguments: object) -> None:
    """Do it, however long it takes."""
    asyncio.run(_asked(mesh.postgres_url(), "execute", sql, *arguments))


async def _asked(url: str, method: str, sql: str, *arguments: object) -> Any:
    connection = await asyncpg.connect(url)
    try:
        return await getattr(connection, method)(sql, *arguments)
    finally:
        await connection.close()
