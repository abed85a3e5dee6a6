"""One leader among replicas: a session's advisory lock, held by a connection of its own for as long as that lives."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from polis.db.connections import Lease, connect
from polis.db.deadline import Deadline
from polis.db.errors import OUTAGE, unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from polis.db.database import Database

POLL_S = 0.5
"""How often a replica asks whether the lead is free; it would be waited for with a snapshot that vacuum waits for."""
_ANSWER_S = 3.0


@asynccontextmanager
async def lead(database: Database, what: str) -> AsyncIterator[Callable[[], bool]]:
    """Wait to lead, then lead while the answer to the call is true. Refused(Unavailable) without a connection.

    The lead may pass to another before this process notices: what it writes must be fenced besides.
    """
    try:
        connection = await connect(database.url, name=f"polis-{database.service}-{what}")
    except (*OUTAGE, TimeoutError) as error:
        raise unavailable(str(error)) from error
    try:
        while not await _locked(connection, f"polis {database.service} {what}"):  # noqa: ASYNC110 - another process holds it
            await asyncio.sleep(POLL_S)
        yield lambda: not connection.is_closed()
    finally:
        connection.terminate()


async def _locked(connection: Any, name: str) -> bool:
    lease = Lease(connection)
    lease.deadline = Deadline.after(_ANSWER_S)
    alarm = asyncio.get_running_loop().call_at(lease.deadline.at, lease.overdue)
    try:
        rows = await lease.fetch("select pg_try_advisory_lock($1)", (lock_number(name),))
    finally:
        alarm.cancel()
    return bool(rows[0][0])


def lock_number(name: str) -> int:
    """The number of a named advisory lock."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)
