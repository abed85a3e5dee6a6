"""Servers of the user's own, named by POLIS_POSTGRES_URL and POLIS_NATS_URL: whether the mesh can stand on them."""

from __future__ import annotations

import msgspec

from polis.bus import Bus, BusError, NoResponders
from polis.bus.api import Answer, StreamError, call
from polis.db.session import session
from polis.local.failures import in_words

OLDEST_MAJOR = 16
"""Roles are granted here in a way that older ones do not know."""
_CONNECT_S = 3.0


def place_of(url: str) -> str:
    """Host and port for people, without a password."""
    return url.rpartition("@")[2].rpartition("://")[2].partition("?")[0] or url


async def postgres_faults(url: str) -> list[str]:
    """What keeps it from serving the mesh, as the user of the URL sees it."""
    try:
        async with session(url, "polis-doctor") as connection:
            major = int(await connection.fetchval("show server_version_num")) // 10_000
            row = await connection.fetchrow(
                """
                select rolsuper or rolcreaterole as makes_roles,
                       has_database_privilege(current_database(), 'create') as makes_schemas
                from pg_roles where rolname = current_user
                """
            )
    except Exception as error:  # noqa: BLE001 - a wrong host, port, password or database: the driver's words say which
        return [f"it cannot be used: {in_words(error)}"]
    faults = []
    if major < OLDEST_MAJOR:
        faults.append(f"it is of version {major}; {OLDEST_MAJOR} is the oldest that will do")
    if not row["makes_roles"]:
        faults.append("its user may not make roles: it needs createrole")
    if not row["makes_schemas"]:
        faults.append("its user may not make schemas in that database")
    return faults


async def nats_faults(url: str) -> list[str]:
    """What keeps it from serving the mesh."""
    try:
        bus = await Bus.connect(url, name="polis-doctor", connect_timeout_s=_CONNECT_S)
    except (BusError, OSError, ValueError) as error:
        return [f"it cannot be used: {str(error) or type(error).__name__}"]
    try:
        await call(bus, "INFO", b"", msgspec.json.Decoder(Answer))
    except NoResponders:
        return ["its JetStream is not enabled for this user's account"]
    except (BusError, StreamError) as error:
        return [f"its JetStream does not answer: {str(error) or type(error).__name__}"]
    finally:
        await bus.close()
    return []
