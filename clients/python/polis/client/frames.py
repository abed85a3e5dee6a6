"""The frames of a topic through every cut: a lost socket is opened again behind the last number that was seen."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any

import aiohttp

from polis.client.pauses import pause
from polis.client.problem import Problem

if TYPE_CHECKING:
    from polis.client.connection import Connection

ATTEMPTS = 20


async def frames(
    connection: Connection, topic: str, *, after: int | None = None, attempts: float = ATTEMPTS, **wanted: Any
) -> AsyncGenerator[dict[str, Any], None]:
    """What the gateway sends, to the end; each subscription begins with a snapshot. wanted: kinds and fields, where not all are.

    Problem when it may not be followed, or could not be connected to so often in a row.
    """
    last, attempt = after, 0
    while True:
        error: Exception | None = None
        try:
            async for frame in connection.live(topic, last, **wanted):
                attempt = 0
                last = frame.get("seq", last)
                yield frame
                if frame["op"] == "end":
                    return
        except (aiohttp.ClientError, TimeoutError, OSError) as cut:
            error = cut
        except Problem as problem:
            error = problem
        if isinstance(error, Problem) and not await _may_pass(connection, error, attempt):
            raise error
        if attempt + 1 >= attempts:
            title = f"The live connection to {connection.address} was lost."
            raise Problem({"title": title}) from error
        await pause(attempt, error.retry_after_s if isinstance(error, Problem) else None)
        attempt += 1


async def _may_pass(connection: Connection, problem: Problem, attempt: int) -> bool:
    """Whether it is worth another attempt: later, or with another token where there may be one."""
    if problem.status == 401 and attempt == 0 and not isinstance(connection.token, str):
        await connection.token(True)
        return True
    return problem.may_pass
