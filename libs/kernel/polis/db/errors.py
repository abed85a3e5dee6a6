"""PostgreSQL's errors as the mesh's problems.

An outage is Unavailable, an overrun DeadlineExceeded, contention Overloaded, a row that breaks a rule a
ConstraintViolation. What remains is a defect of ours and stays what it is.
"""

from __future__ import annotations

import asyncpg

from polis.proto import Problem, Refused
from polis.proto.problems import DeadlineExceeded, Overloaded, Unavailable

RETRY_AFTER_S = 1.0
MACHINE_RETRY_AFTER_S = 10.0
CONTENTION_RETRY_AFTER_S = 0.1


class ConstraintViolation(Exception):
    """A row does not keep a rule of its table; `constraint` names the rule. The transaction can only be rolled back."""

    def __init__(self, constraint: str) -> None:
        super().__init__(constraint)
        self.constraint = constraint


class UniqueViolation(ConstraintViolation):
    """A row of this key exists."""


class ForeignKeyViolation(ConstraintViolation):
    """The row that is referred to does not exist, or is still referred to."""


class CheckViolation(ConstraintViolation):
    """A value is outside of what its column allows."""


OUTAGE = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.ReadOnlySQLTransactionError,  # connected to a standby: its primary has moved
    OSError,
)
NOT_LET_IN = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.ClientConfigurationError,
)
"""The URL is none, or its user, password or database is not the server's: to wait does not help."""
_CONTENTION = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
)
_MACHINE = (asyncpg.DiskFullError, asyncpg.OutOfMemoryError, asyncpg.PostgresSystemError)
"""The server's machine has no more room, or its disk fails."""
_OF_WHAT_IS_SAID = (
    asyncpg.DataError,
    ConstraintViolation,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
    ValueError,
    OverflowError,
    RecursionError,
)
"""A value that PostgreSQL cannot store, a row that breaks a rule, more than a row or an index holds, text that is none."""
_VIOLATIONS: dict[type[asyncpg.PostgresError], type[ConstraintViolation]] = {
    asyncpg.UniqueViolationError: UniqueViolation,
    asyncpg.ForeignKeyViolationError: ForeignKeyViolation,
    asyncpg.CheckViolationError: CheckViolation,
}


def unavailable(reason: str) -> Refused:
    return Refused(Unavailable(dependency="postgresql"), reason)


def late() -> Refused:
    return Refused(DeadlineExceeded())


def overloaded(what: str) -> Refused:
    return Refused(Overloaded(retry_after_s=RETRY_AFTER_S), what)


def translated(error: Exception) -> Exception:
    """What a database error means to the caller; the error itself when it is a defect of ours."""
    violation = _VIOLATIONS.get(type(error))
    if violation is not None:
        return violation(str(getattr(error, "constraint_name", "") or ""))
    problem = _problem(error)
    return error if problem is None else Refused(problem, str(error))


def lasting(error: Exception) -> bool:
    """Whether it lies in what was said: said once more it fails once more. Whatever else went wrong may go well then."""
    if isinstance(error, Refused):
        return not isinstance(error.problem, Unavailable | DeadlineExceeded | Overloaded)
    return isinstance(error, _OF_WHAT_IS_SAID)


def is_outage(refusal: Refused) -> bool:
    """Whether it was the connection that failed, so that a read may be tried once more on another."""
    return isinstance(refusal.problem, Unavailable) and not isinstance(refusal.__cause__, _MACHINE)


def _problem(error: Exception) -> Problem | None:
    if isinstance(error, OUTAGE):
        return Unavailable(dependency="postgresql")
    if isinstance(error, asyncpg.QueryCanceledError):
        return DeadlineExceeded()
    if isinstance(error, _CONTENTION):
        return Overloaded(retry_after_s=CONTENTION_RETRY_AFTER_S)
    if isinstance(error, _MACHINE):
        return Unavailable(dependency="postgresql", retry_after_s=MACHINE_RETRY_AFTER_S)
    if isinstance(error, asyncpg.InvalidCachedStatementError):
        # A migration changed a table under a transaction: asyncpg has dropped its plans, the next attempt succeeds.
        return Unavailable(dependency="postgresql", retry_after_s=CONTENTION_RETRY_AFTER_S)
    return None
