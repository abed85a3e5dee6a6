"""Problems that the mesh itself raises; a service's own stand in its module. No handler raises these by hand but `Invalid`."""

from __future__ import annotations

from msgspec import Struct

from polis.proto.contract import Problem, problem


class Refused(Exception):
    """The one exception of the mesh: a problem that ends the request. A Struct and an exception never share a class."""

    def __init__(self, problem: Problem, detail: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.detail = detail

    def __str__(self) -> str:
        return self.detail or self.problem.title


class Fault(Struct, frozen=True):
    """One thing wrong with the input: where (JSON pointer, RFC 6901) and what."""

    pointer: str
    detail: str


@problem(status=422)
class Invalid(Problem, frozen=True):
    """The input does not fit the contract."""

    faults: tuple[Fault, ...]


@problem(status=400)
class Malformed(Problem, frozen=True):
    """The input could not be read at all."""

    reason: str


@problem(status=401)
class Unauthenticated(Problem, frozen=True):
    """Credentials are missing, expired, revoked or not valid."""


@problem(status=403)
class Forbidden(Problem, frozen=True):
    """The actor lacks the grant for this."""

    scope: str


@problem(status=403)
class StepUpRequired(Problem, frozen=True):
    """A person has to prove again who they are: their last proof is older than this operation allows."""

    max_age_s: int


@problem(status=403)
class SecondFactorMissing(Problem, frozen=True):
    """Who acts in this role signs in with a second factor, and this session was opened without one."""


@problem(status=404)
class NotFound(Problem, frozen=True):
    """Nothing answers at this path."""


@problem(status=405)
class MethodNotAllowed(Problem, frozen=True):
    """The path exists, with other methods."""

    allowed: tuple[str, ...]


@problem(status=412)
class PreconditionFailed(Problem, frozen=True):
    """What is to be changed has another revision by now than the one that If-Match names."""

    expected: int
    actual: int


@problem(status=413)
class TooLarge(Problem, frozen=True):
    """The body is larger than this operation takes."""

    max_bytes: int


@problem(status=415)
class UnsupportedMedia(Problem, frozen=True):
    """The body is of a media type that this operation does not take."""

    accepted: str


@problem(status=409)
class InFlight(Problem, frozen=True):
    """The same Idempotency-Key is being worked on at this moment."""

    retry_after_s: float = 1.0


@problem(status=422)
class KeyReused(Problem, frozen=True):
    """The Idempotency-Key was used with another request."""


@problem(status=400)
class StaleCursor(Problem, frozen=True):
    """The cursor is not one that this list gave out, or no longer holds."""


@problem(status=429, retryable=True)
class Overloaded(Problem, frozen=True):
    """Too many requests at this moment, from this caller or in all."""

    retry_after_s: float


@problem(status=503, retryable=True)
class Unavailable(Problem, frozen=True):
    """Something that is needed for this does not answer now."""

    dependency: str
    retry_after_s: float = 1.0


@problem(status=504)
class DeadlineExceeded(Problem, frozen=True):
    """The answer took longer than the caller's deadline; whether it took effect is unknown."""


@problem(status=500)
class Internal(Problem, frozen=True):
    """Something went wrong here; the trace id finds it in the record."""


MESH_PROBLEMS: tuple[type[Problem], ...] = (
    Invalid, Malformed, Unauthenticated, Forbidden, StepUpRequired, SecondFactorMissing, NotFound, MethodNotAllowed,
    PreconditionFailed, TooLarge, UnsupportedMedia, InFlight, KeyReused, StaleCursor, Overloaded, Unavailable, DeadlineExceeded, Internal,
)  # fmt: skip
"""What any operation may be refused with, whether it declares it or not."""
