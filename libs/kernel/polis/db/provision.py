"""Roles, schemas and extensions: who may do what in the database, before any table exists.

Per service: `<service>_owner` owns the schema and cannot log in; `app_<service>` is the process and owns nothing;
`<service>_system` sees every org, and the process takes it on per transaction, or for the session of a lead.
`polis_migrator` acts as the owners.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from typing import TYPE_CHECKING, Any

from polis.db.database import checked_name
from polis.db.session import alone, session

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MIGRATOR = "polis_migrator"
_SCRAM_ROUNDS = 4096


async def provision(admin_url: str, services: Sequence[str], passwords: Mapping[str, str]) -> None:
    """Make or refresh all of it; again and again with the same result.

    passwords: of `polis_migrator` and each `app_<service>`.
    """
    async with session(admin_url, "polis-provision") as admin, alone(admin, "polis provision"):
        database = await admin.fetchval("select quote_ident(current_database())")
        await _login(admin, MIGRATOR, passwords[MIGRATOR])
        await admin.execute(
            f"""
            revoke all on database {database} from public;
            revoke all on schema public from public;
            grant connect on database {database} to {MIGRATOR};
            create schema if not exists extensions;
            grant usage on schema extensions to public;
            """
        )
        if await admin.fetchval("select exists (select from pg_available_extensions where name = 'vector')"):
            await admin.execute("create extension if not exists vector with schema extensions")
        for service in map(checked_name, services):
            await _service(admin, database, service, passwords[f"app_{service}"])


async def _service(admin: Any, database: str, service: str, password: str) -> None:
    app, owner, system = f"app_{service}", f"{service}_owner", f"{service}_system"
    await _role(admin, owner)
    await _role(admin, system)
    await _login(admin, app, password)
    await admin.execute(
        f"""
        grant {owner}, {system} to {MIGRATOR} with inherit false, set true;
        grant {system} to {app} with inherit false, set true;
        grant {owner} to current_user with inherit true, set true;
        grant connect on database {database} to {app};
        create schema if not exists {service};
        alter schema {service} owner to {owner};
        revoke all on schema {service} from public;
        grant usage on schema {service} to {app}, {system};
        """
    )


async def _role(admin: Any, role: str) -> None:
    if not await admin.fetchval("select exists (select from pg_roles where rolname = $1)", role):
        await admin.execute(f"create role {role} nologin")


async def _login(admin: Any, role: str, password: str) -> None:
    await _role(admin, role)
    await admin.execute(f"alter role {role} login password '{scram(password)}'")


def scram(password: str) -> str:
    """The password as PostgreSQL keeps it (RFC 5802), so that neither it nor its log ever sees the password."""
    salt = os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _SCRAM_ROUNDS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    encoded = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${_SCRAM_ROUNDS}:{encoded[0]}${encoded[1]}:{encoded[2]}"
