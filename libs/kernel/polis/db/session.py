"""Sessions of tools: connections for provisioning and migrating, made for minutes of work instead of milliseconds."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg

from polis.db.leadership import lock_number

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_CONNECT_TIMEOUT_S = 10.0
_LOCK_TIMEOUT = "120s"
"""How long one tool waits for another that does the same."""


@asynccontextmanager
async def session(url: str, name: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(
        url,
        timeout=_CONNECT_TIMEOUT_S,
        server_settings={
            "application_name": name,
            "search_path": "",
            "client_connection_check_interval": "1s",  # an ended tool holds its lock no longer than this
        },
    )
    try:
        yield connection
    finally:
        connection.terminate()


@asynccontextmanager
async def alone(connection: Any, name: str) -> AsyncIterator[None]:
    """Hold a named lock of the database; it ends with the connection, whatever happens to this process."""
    number = lock_number(name)
    await connection.execute(f"set lock_timeout = '{_LOCK_TIMEOUT}'")
    await connection.execute("select pg_advisory_lock($1)", number)
    await connection.execute("reset lock_timeout")
    yield
    await connection.execute("select pg_advisory_unlock($1)", number)
