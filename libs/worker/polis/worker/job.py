"""A job as a handler sees it, and how one fails."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Job:
    """One message for a component. `key` is the same at every attempt: what the work is idempotent by.

    inputs: by the port that they came to. emitted: what goes on once the handler has returned, in its order.
    """

    id: str
    component: str
    run_id: str
    key: str
    config: dict[str, Any]
    inputs: dict[str, Any]
    token: int
    attempt: int
    attempts: int
    lease_s: float
    emitted: list[dict[str, Any]] = field(default_factory=list)
    costs: list[int] = field(default_factory=list)

    def emit(self, port: str, value: Any) -> None:
        """Send a JSON value out of a port, when the handler has returned."""
        self.emitted.append({"port": port, "value": value})

    def cost(self, millionths: int) -> None:
        """Say what the job has cost, in millionths of the org's currency; it is added up, and stands in the run's timeline."""
        self.costs.append(millionths)


Handler = Callable[[Job], Awaitable[None]]


class JobFailed(Exception):
    """Why a job has no result: `kind` is for programs (`order.unknown`), the message for people."""

    def __init__(self, kind: str, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.kind = kind
        self.retryable = retryable


def read(given: dict[str, Any]) -> Job:
    """A job as the gateway gives it; what a later version tells besides is left out."""
    names = Job.__dataclass_fields__.keys() - {"emitted", "costs"}
    return Job(**{name: value for name, value in given.items() if name in names})
