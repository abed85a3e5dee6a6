"""Jobs: what components of type `external` wait for, claimed by workers, each under a token that fences the others off."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from polis.proto.contract import Problem, Request, Time, operation, problem
from polis.proto.graph import ComponentKey, PortName
from polis.proto.problems import Invalid
from polis.proto.runtime.runs import MAX_SEQ

MAX_WAIT_S = 5.0
Token = Annotated[
    int, Meta(ge=1, le=MAX_SEQ, description="The fencing token that the job was claimed with.", examples=[1])
]


Cost = Annotated[
    int,
    Meta(
        ge=0,
        le=10**15,
        description="What the job has cost, in millionths of the org's currency: it stands in the run's timeline.",
        examples=[1500],
    ),
]


class Job(Struct, frozen=True):
    """One message for a component, to be done by whoever claimed it until `until`; heartbeats move that.

    key: the same at every attempt, so what the work is idempotent by. inputs: by the port that they came to.
    """

    id: UUID
    component: ComponentKey
    run_id: UUID
    key: str
    config: dict[str, object]
    inputs: dict[str, object]
    token: int
    attempt: int
    attempts: int
    lease_s: float
    until: Time


class Jobs(Struct, frozen=True):
    """Jobs that were claimed together; none when there was nothing to be done."""

    jobs: tuple[Job, ...]


class JobLease(Struct, frozen=True):
    """Until when a job is its claimer's."""

    until: Time


class Emitted(Struct, frozen=True):
    """A message that a job emits."""

    port: PortName
    value: object


@problem(status=404)
class JobNotFound(Problem, frozen=True):
    """No job of the org has this id, or it has its outcome, or its run has ended."""

    job_id: UUID


@problem(status=409)
class JobLost(Problem, frozen=True):
    """The job is another worker's: nothing was heard of this one in time, or it never claimed it."""

    job_id: UUID


@operation(http="POST /jobs/claim", scope="runtime:work", idempotent=False)
class ClaimJobs(Request[Jobs], frozen=True):
    """Claim jobs of components, those that wait the longest first.

    Agents and applications need a grant of `runtime:work` on `component/<key>` for each. Without any job, the answer waits
    for one as long as it is told to, or comes at once where too many workers wait.
    """

    components: Annotated[tuple[ComponentKey, ...], Meta(min_length=1, max_length=50)]
    limit: Annotated[int, Meta(ge=1, le=100)] = 1
    wait_s: Annotated[float, Meta(ge=0, le=MAX_WAIT_S)] = 0.0


@operation(
    http="POST /jobs/{job_id}/heartbeat",
    scope="runtime:work",
    problems=(JobNotFound, JobLost),
    idempotent=False,
)
class HeartbeatJob(Request[JobLease], frozen=True):
    """Say that a job is still being done: it stays its claimer's for another `lease_s`."""

    job_id: UUID
    token: Token


@operation(
    http="POST /jobs/{job_id}/complete",
    scope="runtime:work",
    problems=(JobNotFound, JobLost, Invalid),
    max_body=1024 * 1024,
)
class CompleteJob(Request[None], frozen=True):
    """Bring the outcome of a job: the messages that it emits, in their order. It counts once."""

    job_id: UUID
    token: Token
    emitted: Annotated[tuple[Emitted, ...], Meta(max_length=10_000)] = ()
    cost: Cost = 0


@operation(http="POST /jobs/{job_id}/fail", scope="runtime:work", problems=(JobNotFound, JobLost))
class FailJob(Request[None], frozen=True):
    """Say that a job has failed. One that is retryable is offered again, after a while, until it was offered often enough."""

    job_id: UUID
    token: Token
    message: Annotated[str, Meta(min_length=1, max_length=2000)]
    kind: Annotated[
        str,
        Meta(
            pattern=r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$(?!\n)", max_length=100, examples=["order.unknown"]
        ),
    ] = "job.failed"
    retryable: bool = False
    cost: Cost = 0
