"""The first administrator: a one-time link, of which the token's hash is stored, and the rows of those who claimed."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from polis.identity.tokens.opaque import digest, mint
from polis.proto import Refused
from polis.proto.identity import AdministratorLinkUsed, LastAdministrator
from polis.proto.problems import Forbidden
from polis.telemetry import log

if TYPE_CHECKING:
    from polis.db import Database, Transaction
    from polis.identity.config import Config

_PATH = "/administrator#"
"""Behind the `#`, so that the token reaches no server's log."""
_LOCK = 0x6164_6D69_6E69_7374
"""Advisory lock: of replicas that start together, one writes the link."""


async def offer(database: Database, config: Config, at: datetime) -> None:
    """Write a link while there is no administrator, and keep one that still holds; remove it when there is one."""
    if not config.admin_link_file:
        return
    path = Path(config.admin_link_file)
    async with database.across_orgs() as tx:
        await tx.value("select pg_advisory_xact_lock($1)", _LOCK)
        if await tx.value("select true from identity.administrators limit 1"):
            remove_link(config)
            return
        if await holds(tx, _token_in(path)):
            return
        token = mint("pal")
        await tx.execute(
            """
            insert into identity.administrator_link (token_hash, created_at) values ($1, $2)
            on conflict (single) do update set token_hash = excluded.token_hash, created_at = excluded.created_at
            """,
            token.hash,
            at,
        )
        _write(path, f"{config.public_url.rstrip('/')}{_PATH}{token.secret}\n")
    log.info("administrator.link_written", path=str(path))


async def holds(tx: Transaction, token: str) -> bool:
    found = await tx.value(
        "select true from identity.administrator_link where token_hash = $1", digest(token)
    )
    return found is not None


async def claim(tx: Transaction, token: str, account_id: UUID, at: datetime) -> None:
    """Use the link up and make an account the first administrator. Refused(AdministratorLinkUsed)."""
    used = await tx.execute("delete from identity.administrator_link where token_hash = $1", digest(token))
    if not used:
        raise Refused(AdministratorLinkUsed())
    await tx.execute(
        "insert into identity.administrators (account_id, since) values ($1, $2)", account_id, at
    )


async def demand(tx: Transaction, account_id: UUID) -> None:
    """Refused(Forbidden) for who is no administrator."""
    if not await tx.value("select true from identity.administrators where account_id = $1", account_id):
        raise Refused(Forbidden(scope="administrator"), "only administrators of the mesh can do this")


async def appoint(tx: Transaction, account_id: UUID, at: datetime) -> None:
    await tx.execute(
        "insert into identity.administrators (account_id, since) values ($1, $2) on conflict do nothing",
        account_id,
        at,
    )


async def dismiss(tx: Transaction, account_id: UUID) -> bool:
    """False when it is none. Refused(LastAdministrator); of two who dismiss each other, one is too late."""
    await tx.value("select pg_advisory_xact_lock($1)", _LOCK)
    dismissed = await tx.execute("delete from identity.administrators where account_id = $1", account_id)
    left = await tx.value(
        """
        select true from identity.administrators d
        join identity.accounts a on a.id = d.account_id and a.suspended_at is null
        limit 1
        """
    )
    if not left:
        raise Refused(LastAdministrator())
    return bool(dismissed)


async def is_org(tx: Transaction, org_id: UUID) -> bool:
    return await tx.value("select true from identity.orgs where org_id = $1", org_id) is not None


def remove_link(config: Config) -> None:
    if config.admin_link_file:
        Path(config.admin_link_file).unlink(missing_ok=True)


def _token_in(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip().rpartition("#")[2]
    except OSError:
        return ""


def _write(path: Path, content: str) -> None:
    """A file that only its owner may read from its first moment on, in place of the old one at once."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(content)
    new.replace(path)
