"""Runs: what they are, how they are started, read, watched and ended."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from polis.proto.catalog import Digest, Environment, ResourceKey, Tag, Tags
from polis.proto.contract import Cursor, Event, Limit, Page, Problem, Request, Time, event, operation, problem
from polis.proto.graph import Activity, NodeName, PortName
from polis.proto.identity import AgentRef, OverQuota
from polis.proto.problems import Fault

RunState = Annotated[
    Literal["queued", "running", "waiting", "paused", "recovering", "succeeded", "failed", "cancelled"],
    Meta(examples=["running"]),
]
StepState = Annotated[
    Literal["pending", "running", "waiting", "retrying", "succeeded", "failed", "skipped", "cancelled"],
    Meta(examples=["running"]),
]
GraphInputs = Annotated[
    dict[str, object],
    Meta(description="Values by the names of the graph's inputs.", examples=[{"person": {"name": "Ada"}}]),
]
GraphOutputs = Annotated[
    dict[str, object],
    Meta(description="Values by the names of the graph's outputs.", examples=[{"text": "Hello Ada!"}]),
]
StepPath = Annotated[
    str,
    Meta(
        pattern=r"^[a-z][a-z0-9_]{0,62}(/@?[a-z][a-z0-9_]{0,62})*$(?!\n)",
        description="Name of a node, behind those of the nodes that run the graph that it is in; `/@undo`: what undoes it.",
        examples=["each/read"],
    ),
]
RunTimeout = Annotated[
    float,
    Meta(
        gt=0,
        le=31622400,
        description="Seconds that the run may take at the most, from its start on; if its graph says less, that holds.",
        examples=[600],
    ),
]
Milliseconds = Annotated[int, Meta(description="Milliseconds.")]
OriginKind = Annotated[
    Literal["rerun", "fork", "retry"],
    Meta(description="`rerun`: from a step on; `fork`: with other input; `retry`: what failed, once more."),
]

MAX_SEQ = 2**53 - 1
"""What every JSON reader and a PostgreSQL bigint hold exactly."""
TERMINAL: frozenset[str] = frozenset({"succeeded", "failed", "cancelled"})


class RunError(Struct, frozen=True):
    """Why a run failed: the step and what it said. Or why it was cancelled although nobody asked for it: no step."""

    step: str
    kind: str
    message: str


class Origin(Struct, frozen=True):
    """Which run another one was made from, and how. `step`: where a rerun begins anew."""

    run_id: UUID
    kind: OriginKind
    step: NodeName | None = None


class TriggeredBy(Struct, frozen=True):
    """The trigger that started a run, and what for: a slot, the id of an event or of a post."""

    id: UUID
    occurrence: str


class Run(Struct, frozen=True):
    """A durable execution of one graph version. `actor_id` is who it acts as, `parent_id` the run that started it."""

    id: UUID
    org_id: UUID
    graph: ResourceKey
    digest: Digest
    state: RunState
    actor_id: UUID
    started_by: UUID
    created_at: Time
    started_at: Time | None = None
    ended_at: Time | None = None
    error: RunError | None = None
    tags: Tags = ()
    parent_id: UUID | None = None
    origin: Origin | None = None
    trigger: TriggeredBy | None = None


class Step(Struct, frozen=True):
    """What a node of the graph has done in a run so far. Times are milliseconds since the run was created.

    A node of a graph in the graph is one step, behind the node that runs it, with all that it has done in all its turns.
    done, total: how far it says that it is, in a unit of its own. model: the steps with a model's results that what it gave was
    made of; approved: those of which people have approved of all that was.
    """

    node: StepPath
    component: str
    title: str
    activity: Activity
    state: StepState
    received: int = 0
    emitted: int = 0
    attempts: int = 0
    started_ms: Milliseconds | None = None
    ended_ms: Milliseconds | None = None
    error: str | None = None
    done: int | None = None
    total: int | None = None
    model: tuple[StepPath, ...] = ()
    approved: tuple[StepPath, ...] = ()


class PortValue(Struct, frozen=True):
    """A message at a port. What a schema keeps back is marked as `redacted`, what is too large as `left_out_bytes`."""

    port: PortName
    value: object


class AttemptFacts(Struct, frozen=True, omit_defaults=True):
    """One attempt of a step at one item. Times are milliseconds since the run was created.

    waited_ms: from when it could begin (or was to be repeated) until it was at work. error: the kind of what it failed with;
    `step.lost`: its process died, or gave the run up, and `ended_ms` is when that was found. cost: in millionths of the org's
    currency, where the step told any. inputs, outputs: as the graph's `record` says.
    """

    item: str
    number: int
    started_ms: Milliseconds
    ended_ms: Milliseconds | None = None
    waited_ms: Milliseconds = 0
    error: str | None = None
    cost: int | None = None
    emitted: int = 0
    inputs: dict[PortName, object] | None = None
    outputs: tuple[PortValue, ...] | None = None


class AttemptsOfStep(Struct, frozen=True):
    """The last attempts of a step, in the order in which they began. `total`: how many there were."""

    node: StepPath
    total: int
    attempts: tuple[AttemptFacts, ...]


class Timeline(Struct, frozen=True):
    """The steps of a run in topological order, and the attempts of its steps; those of the last tenth of a second may come later.

    Functions that only compute have none of their own, unless the graph records all.
    """

    run: Run
    steps: tuple[Step, ...]
    attempts: tuple[AttemptsOfStep, ...] = ()


class Output(Struct, frozen=True):
    """What a succeeded run gave, by the names of the graph's outputs.

    model: of what a model had a word in, the steps that gave its results, unless people have approved of it.
    """

    run_id: UUID
    values: GraphOutputs
    model: Annotated[dict[str, tuple[StepPath, ...]], Meta(examples=[{"text": ["draft"]}])] = {}


class RunTree(Struct, frozen=True):
    """A run and its descendants: each generation behind the one before, oldest first; `parent_id` tells where each belongs.

    complete: whether none was left out for the bounds.
    """

    runs: tuple[Run, ...]
    complete: bool


class Transition(Struct, frozen=True):
    """One change in a run, numbered from 1 without gaps: a step's new facts, or the run's own when `step` is absent."""

    seq: int
    at_ms: Milliseconds
    state: str
    step: Step | None = None
    error: RunError | None = None


class RunSnapshot(Struct, frozen=True):
    """A run as it is, or, behind a cursor, what came after it. `seq` is the last transition contained.

    recovered: whether `transitions` continue the caller's cursor; otherwise it starts from `steps`.
    """

    run: Run
    seq: int
    steps: tuple[Step, ...] = ()
    transitions: tuple[Transition, ...] = ()
    recovered: bool = True


@problem(status=404)
class RunNotFound(Problem, frozen=True):
    """No run of the org has this id."""

    run_id: UUID


@problem(status=404)
class GraphNotFound(Problem, frozen=True):
    """No graph of this key is active in this environment."""

    graph: str


@problem(status=422)
class GraphInvalid(Problem, frozen=True):
    """The graph cannot run as it is; every fault is listed."""

    faults: tuple[Fault, ...]


@problem(status=422)
class InputInvalid(Problem, frozen=True):
    """The input does not fit the graph; every fault is listed."""

    faults: tuple[Fault, ...]


@problem(status=404)
class AgentUnknown(Problem, frozen=True):
    """No agent of the org has this id or key."""

    agent: str


@problem(status=409)
class RunEnded(Problem, frozen=True):
    """The run has ended; nothing can change it."""

    state: str


@problem(status=409)
class NoOutputYet(Problem, frozen=True):
    """The run has not succeeded, so it has no output."""

    state: str


@event(entity="run_id", shown="runtime:read")
class RunStarted(Event, frozen=True):
    """A run has been accepted."""

    run_id: UUID
    graph: ResourceKey
    actor_id: UUID


@event(entity="run_id", shown="runtime:read")
class RunSucceeded(Event, frozen=True):
    """A run has ended with its output."""

    run_id: UUID
    graph: ResourceKey | None = None
    actor_id: UUID | None = None


@event(entity="run_id", shown="runtime:read")
class RunFailed(Event, frozen=True):
    """A run has ended with an error."""

    run_id: UUID
    error: RunError
    graph: ResourceKey | None = None
    actor_id: UUID | None = None


@event(entity="run_id", shown="runtime:read")
class RunSlow(Event, frozen=True):
    """A run has been at work for longer than it should take: its graph's `slow_after_s`, or the mesh's. Told once a run."""

    run_id: UUID
    graph: ResourceKey
    actor_id: UUID
    seconds: float


@event(entity="run_id", shown="runtime:read")
class RunCancelled(Event, frozen=True):
    """A run was ended from outside; nothing takes effect any more. `error`: why, where nobody asked for it."""

    run_id: UUID
    error: RunError | None = None
    graph: ResourceKey | None = None
    actor_id: UUID | None = None


@operation(
    http="POST /runs",
    scope="runtime:run",
    problems=(GraphNotFound, GraphInvalid, InputInvalid, AgentUnknown, OverQuota),
    max_body=1024 * 1024,
)
class StartRun(Request[Run], frozen=True):
    """Start a run of the version of a graph that is active, as the caller or as an agent of the org.

    What the graph's components need, the caller must hold as well. As an agent: who may manage agents, whoever made it, and
    whom a grant of `runtime:run` on `agent/<key>` says so.
    """

    graph: ResourceKey
    input: GraphInputs = {}  # noqa: RUF012 - msgspec copies it
    agent: AgentRef | None = None
    environment: Environment = "production"
    tags: Tags = ()
    timeout_s: RunTimeout | None = None


@operation(http="GET /runs", scope="runtime:read", problems=(AgentUnknown,))
class ListRuns(Request[Page[Run]], frozen=True):
    """List the org's runs, newest first: those for which everything holds that is asked for.

    agent, actor_id: who they act as; an agent that was deleted is found by its id alone. since, until: when they were created, from the first moment to before the second; what a step
    started counts from when the run of that step was created.
    parent_id: the run that started them. origin_id: the run that they were made from.
    """

    state: RunState | None = None
    graph: ResourceKey | None = None
    agent: AgentRef | None = None
    actor_id: UUID | None = None
    started_by: UUID | None = None
    tag: Tag | None = None
    parent_id: UUID | None = None
    origin_id: UUID | None = None
    since: Time | None = None
    until: Time | None = None
    after: Cursor | None = None
    limit: Limit = 50


@operation(http="GET /runs/{run_id}", scope="runtime:read", problems=(RunNotFound,), callers=("messaging",))
class GetRun(Request[Run], frozen=True):
    """Read one run."""

    run_id: UUID


@operation(http="GET /runs/{run_id}/tree", scope="runtime:read", problems=(RunNotFound,))
class GetRunTree(Request[RunTree], frozen=True):
    """Read a run with the runs that it started, and what those started, as far as the bounds go."""

    run_id: UUID
    depth: Annotated[int, Meta(ge=1, le=16, description="Generations below the run.")] = 4
    limit: Annotated[int, Meta(ge=1, le=1000, description="Runs in the tree, the run itself included.")] = 200


@operation(
    http="POST /runs/{run_id}/cancel",
    scope="runtime:run",
    problems=(RunNotFound, RunEnded),
    callers=("messaging",),
    on_socket=True,
)
class CancelRun(Request[Run], frozen=True):
    """End a run now: nothing that it does takes effect any more.

    One whose graph says how steps are undone (`compensate`) goes on to do that, and ends then; its state tells.
    """

    run_id: UUID


@operation(http="GET /runs/{run_id}/timeline", scope="runtime:read", problems=(RunNotFound,))
class GetTimeline(Request[Timeline], frozen=True):
    """Read what each step of a run did and when."""

    run_id: UUID


@operation(http="GET /runs/{run_id}/output", scope="runtime:read", problems=(RunNotFound, NoOutputYet))
class GetOutput(Request[Output], frozen=True):
    """Read what a run gave."""

    run_id: UUID


@operation(http="GET /runs/{run_id}/snapshot", scope="runtime:read", problems=(RunNotFound,))
class WatchRun(Request[RunSnapshot], frozen=True):
    """Read a run with its steps, or what came after a transition: the authorised start of a live subscription."""

    run_id: UUID
    after: (
        Annotated[int, Meta(ge=0, le=MAX_SEQ, description="The last transition that the caller has.")] | None
    ) = None
