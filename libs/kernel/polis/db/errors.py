"""PostgreSQL's errors as the mesh's problems: an outage is Unavailable, an overrun DeadlineExceeded, the rest is ours."""

from __future__ import annotations

import asyncpg

from polis.proto import Problem, Refused
from polis.proto.problems import DeadlineExceeded, Overloaded, Unavailable


class UniqueViolation(Exception):
    """A row of this key exists; `constraint` names the rule that does not hold."""

    def __init__(self, constraint: str) -> None:
        super().__init__(constraint)
        self.constraint = constraint


CONNECTION_TROUBLE = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InterfaceError,
    asyncpg.TooManyConnectionsError,
    ConnectionError,
    OSError,
)


def unavailable(reason: str) -> Refused:
    return Refused(Unavailable(dependency="postgresql"), reason)


def late() -> Refused:
    return Refused(DeadlineExceeded())


def overloaded() -> Refused:
    return Refused(Overloaded(retry_after_s=1.0), "too many requests wait for the database")


def problem_for(error: BaseException) -> Problem | None:
    """The problem that a database error means to the caller, or None for one that is a defect of ours."""
    if isinstance(error, CONNECTION_TROUBLE):
        return Unavailable(dependency="postgresql")
    if isinstance(error, (asyncpg.QueryCanceledError, asyncpg.LockNotAvailableError)):
        return DeadlineExceeded()
    if isinstance(error, (asyncpg.DiskFullError, asyncpg.OutOfMemoryError)):
        return Unavailable(dependency="postgresql", retry_after_s=10.0)
    if isinstance(error, (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)):
        return Overloaded(retry_after_s=0.1)
    return None
