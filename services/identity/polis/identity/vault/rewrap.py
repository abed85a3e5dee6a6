"""Brings data keys under the current root key while they are read, and removes openings that have ended."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from polis.identity.tokens.keys import utc_now
from polis.identity.vault.cipher import Place, Unreadable, Wrapped
from polis.identity.vault.envelope import DATA_KEY, opened_until
from polis.service.config import BadSettings
from polis.service.rounds import rounds
from polis.telemetry import log

if TYPE_CHECKING:
    from polis.db import Database, Transaction
    from polis.identity.config import Config
    from polis.identity.vault.cipher import Ring

ROWS = 200
"""Rewrapped in one transaction, so that no row is held for long."""
_VALUES = """
    select org_id, secret_id, version, data_key, root_key, null::timestamptz as until
    from identity.secret_values
    where root_key <> $1 and root_key = any($3) and (org_id, secret_id, version) > ($4, $5, $6)
    order by org_id, secret_id, version limit $2 for update skip locked
"""
_OPENINGS = """
    select org_id, secret_id, version, data_key, root_key, until
    from identity.secret_openings
    where root_key <> $1 and root_key = any($3) and (org_id, secret_id, version) > ($4, $5, $6)
    order by org_id, secret_id, version limit $2 for update skip locked
"""


class _Row(Struct, frozen=True):
    org_id: UUID
    secret_id: UUID
    version: int
    data_key: bytes
    root_key: str
    until: datetime | None


async def keep(database: Database, ring: Ring, config: Config) -> None:
    """Rewrap and sweep for as long as the service runs."""

    async def turn() -> None:
        await rewrap(database, ring)
        await sweep(database, utc_now())

    await rounds("vault", turn, every_s=config.sweep_every_s)


async def demand_keys(database: Database, ring: Ring) -> None:
    """BadSettings when something lies under a root key that is not here: it would be found out too late."""
    async with database.across_orgs() as tx:
        used = await tx.rows(
            str,
            """
            select root_key from identity.secret_values group by 1
            union select root_key from identity.secret_openings group by 1 order by 1
            """,
        )
    missing = [name for name in used if name not in ring.names]
    if missing:
        raise BadSettings(f"POLIS_VAULT_KEYS lacks {', '.join(missing)}, which secrets lie under")


async def rewrap(database: Database, ring: Ring) -> int:
    """Everything that is under another root key; how many rows. Data keys and values stay what they are."""
    done = 0
    for statement in (_VALUES, _OPENINGS):
        position, found = (UUID(int=0), UUID(int=0), 0), ROWS
        while found == ROWS:
            async with database.across_orgs() as tx:
                rows = await tx.rows(_Row, statement, ring.current, ROWS, list(ring.names), *position)
                for row in rows:
                    done += await _rewrap(tx, ring, row)
            found = len(rows)
            if rows:  # behind these, some of which may not open
                position = (rows[-1].org_id, rows[-1].secret_id, rows[-1].version)
    if done:
        log.info("vault.rewrapped", rows=done, root_key=ring.current)
    return done


async def _rewrap(tx: Transaction, ring: Ring, row: _Row) -> int:
    """One locked row; one that does not open stays as it is, for somebody to look at."""
    purpose = DATA_KEY if row.until is None else opened_until(row.until)
    table = "secret_values" if row.until is None else "secret_openings"
    place = Place(row.org_id, row.secret_id, row.version)
    try:
        wrapped = ring.rewrap(place, purpose, Wrapped(row.root_key, row.data_key))
    except Unreadable as error:
        log.error("secret.unreadable", secret_id=str(row.secret_id), version=row.version, reason=str(error))
        return 0
    return await tx.execute(
        f"""
        update identity.{table} set data_key = $4, root_key = $5
        where org_id = $1 and secret_id = $2 and version = $3
        """,  # noqa: S608 - one of two constants
        row.org_id,
        row.secret_id,
        row.version,
        wrapped.data_key,
        wrapped.root_key,
    )


async def sweep(database: Database, at: datetime) -> None:
    async with database.across_orgs() as tx:
        await tx.execute("delete from identity.secret_openings where until <= $1", at)
