"""Removes what of the audit log is too old to be kept, from the beginning of each chain, and notes where it then begins."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from polis.identity.audit.log import record
from polis.identity.tokens.keys import utc_now
from polis.service.rounds import rounds

if TYPE_CHECKING:
    from polis.db import Database
    from polis.identity.config import Config

ROWS = 1_000
"""Removed in one transaction, so that no chain is held for long."""


async def keep(database: Database, config: Config) -> None:
    """Cut for as long as the service runs."""

    async def turn() -> float | None:
        return 0.0 if await cut(database, timedelta(days=config.audit_days), utc_now()) else None

    await rounds("audit log", turn, every_s=config.sweep_every_s)


class _Cut(Struct, frozen=True):
    org_id: UUID
    n: int
    hash: bytes


async def cut(database: Database, kept: timedelta, at: datetime, *, rows: int = ROWS) -> int:
    """Remove what is older than `kept`, a bounded part of one chain; how many rows went. The last row of a chain stays.

    The cut is noted twice: in `audit_cuts`, from where a verification starts, and in the chain, which vouches for it.
    """
    async with database.across_orgs() as tx:
        found = await tx.row(
            _Cut,
            """
            with oldest as (
                select a.org_id from identity.audit a join identity.audit_heads h using (org_id)
                where a.at <= $1 and a.n < h.n order by a.at limit 1
            ), begun as (
                select a.org_id, a.n, a.at, a.hash from identity.audit a join oldest using (org_id)
                order by a.n limit $2
            ), kept as (
                select coalesce(min(n), (select max(n) + 1 from begun)) as n from begun where at > $1
            )
            select b.org_id, b.n, b.hash from begun b, kept
            where b.n < kept.n and b.n < (select h.n from identity.audit_heads h where h.org_id = b.org_id)
            order by b.n desc limit 1
            """,
            at - kept,
            rows,
        )
        if found is None:
            return 0
        noted = await tx.execute(
            """
            insert into identity.audit_cuts (org_id, n, hash, at) values ($1, $2, $3, $4)
            on conflict (org_id, n) do nothing
            """,
            found.org_id,
            found.n,
            found.hash,
            at,
        )
        if not noted:  # another replica is a moment ahead
            return 0
        removed = await tx.execute(
            "delete from identity.audit where org_id = $1 and n <= $2", found.org_id, found.n
        )
        detail = {"n": str(found.n), "hash": found.hash.hex()}
        await record(tx, org_id=found.org_id, action="audit.cut", actor_id=None, detail=detail, at=at)
        return removed
