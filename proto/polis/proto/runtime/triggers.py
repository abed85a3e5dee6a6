"""Triggers: what starts runs of active graphs by itself, when it last did, and why it did not."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from polis.proto.catalog import Environment, ResourceKey, VersionNumber
from polis.proto.contract import (
    INTERNAL,
    Cursor,
    Event,
    Limit,
    Page,
    Problem,
    Request,
    Time,
    event,
    operation,
    problem,
)
from polis.proto.identity import AgentRef, Overlap, OverQuota
from polis.proto.runtime.runs import (
    AgentUnknown,
    GraphInputs,
    GraphInvalid,
    GraphNotFound,
    GraphOutputs,
    InputInvalid,
    Run,
    RunState,
)
from polis.proto.trigger import TriggerKind, TriggerName

HOOK_TOLERANCE_S = 300
"""How far the timestamp of a signed post may be from now; a message id is remembered for longer."""
MAX_HOOK_BODY = 256 * 1024
MAX_TOLD = 64 * 1024
ToldType = Annotated[
    str,
    Meta(pattern=r"^[a-z][a-z0-9._-]{0,62}$(?!\n)", description="What has happened.", examples=["step"]),
]


SpecContent = Annotated[
    dict[str, object],
    Meta(
        description="The trigger as the graph names it (`TriggerSpec`).",
        examples=[{"on": {"kind": "schedule", "cron": "30 6 * * MON-FRI", "timezone": "Europe/Istanbul"}}],
    ),
]


class WhyNot(Struct, frozen=True):
    """Why a trigger did not start a run: the problem's type or a word of its own, what it said, and when."""

    kind: str
    message: str
    at: Time


class Trigger(Struct, frozen=True):
    """A trigger of a graph's version in an environment. Its id stays the same from version to version.

    next_at: when it fires next by its schedule, or its debounced event does. fired, refused, skipped: how often it started a
    run, could not, and was not to (missed slots, throttled events). acts_as: the agent that its runs act as, if one is named.
    hook: the address of a webhook; has_token: whether it has a token that posts can carry.
    """

    id: UUID
    org_id: UUID
    resource_id: UUID
    graph: ResourceKey
    environment: Environment
    number: VersionNumber
    name: TriggerName
    kind: TriggerKind
    spec: SpecContent
    activated_by: UUID
    created_at: Time
    acts_as: UUID | None = None
    ended_at: Time | None = None
    paused_at: Time | None = None
    paused_by: UUID | None = None
    next_at: Time | None = None
    fired_at: Time | None = None
    last_run_id: UUID | None = None
    last_occurrence: str | None = None
    error: WhyNot | None = None
    fired: int = 0
    refused: int = 0
    skipped: int = 0
    hook: str | None = None
    has_token: bool = False


class HookToken(Struct, frozen=True):
    """A webhook's new token, which is shown this once. Posts carry it in X-Hook-Token."""

    trigger_id: UUID
    hook: str
    token: str

    def __repr__(self) -> str:
        return f"HookToken({self.trigger_id}, hidden)"


class Hooked(Struct, frozen=True):
    """What a post to a webhook has led to: the run, and its output where the answer waited for it."""

    run_id: UUID
    state: RunState
    output: GraphOutputs | None = None


class ToldEvent(Struct, frozen=True):
    """An event that was taken in."""

    id: UUID


@problem(status=404)
class TriggerNotFound(Problem, frozen=True):
    """No trigger of the org has this id."""

    trigger_id: UUID


@problem(status=409)
class NoToken(Problem, frozen=True):
    """The trigger is no webhook with a token of its own."""


@problem(status=404)
class HookUnknown(Problem, frozen=True):
    """Nothing here takes this message: the address, the signature or the token is not right, or it is switched off."""


@problem(status=409)
class HookRefused(Problem, frozen=True):
    """The message is right, and no run could be started. Who owns the trigger sees why."""


@event(entity="told_id", shown="runtime:read")
class EventTold(Event, frozen=True):
    """Something has happened outside, as somebody of the org tells; triggers may follow it, and it is told on the topic `org`."""

    told_id: UUID
    type: ToldType
    told_by: UUID
    agent: AgentRef | None = None
    data: dict[str, object] = {}  # noqa: RUF012 - msgspec copies it


@operation(http="GET /triggers", scope="runtime:read")
class ListTriggers(Request[Page[Trigger]], frozen=True):
    """List the org's effective triggers, oldest first: all, those of a graph, of a kind, or in an environment."""

    graph: ResourceKey | None = None
    kind: TriggerKind | None = None
    environment: Environment | None = None
    after: Cursor | None = None
    limit: Limit = 50


@operation(http="GET /triggers/{trigger_id}", scope="runtime:read", problems=(TriggerNotFound,))
class GetTrigger(Request[Trigger], frozen=True):
    """Read a trigger: when it last fired and why not, and when it is due."""

    trigger_id: UUID


@operation(http="POST /triggers/{trigger_id}/pause", scope="runtime:run", problems=(TriggerNotFound,))
class PauseTrigger(Request[Trigger], frozen=True):
    """Keep a trigger from firing, also under later versions, until it is resumed."""

    trigger_id: UUID


@operation(http="POST /triggers/{trigger_id}/resume", scope="runtime:run", problems=(TriggerNotFound,))
class ResumeTrigger(Request[Trigger], frozen=True):
    """Let a paused trigger fire again. What came meanwhile is not made up for."""

    trigger_id: UUID


@operation(
    http="POST /triggers/{trigger_id}/fire",
    scope="runtime:run",
    problems=(TriggerNotFound, GraphNotFound, GraphInvalid, InputInvalid, AgentUnknown, OverQuota),
)
class FireTrigger(Request[Run], frozen=True):
    """Start what a trigger of any kind starts, now and as the caller, or as the trigger's agent if the caller may.

    `input` goes beside the trigger's own. It works while the trigger is paused.
    """

    trigger_id: UUID
    input: GraphInputs = {}  # noqa: RUF012 - msgspec copies it


@operation(
    http="POST /triggers/{trigger_id}/token",
    scope="runtime:run",
    problems=(TriggerNotFound, NoToken),
    idempotent=False,
)
class RotateHookToken(Request[HookToken], frozen=True):
    """Give a webhook a new token, shown this once; the one that it has holds for the overlap."""

    trigger_id: UUID
    overlap_s: Overlap = 86_400


@operation(http="POST /events", scope="runtime:run", max_body=MAX_TOLD)
class TellEvent(Request[ToldEvent], frozen=True):
    """Tell that something has happened outside: it becomes the event `runtime.event_told`.

    Triggers can follow it, and whoever follows the topic `org` and may read runs is told it.
    """

    type: ToldType
    data: dict[str, object] = {}  # noqa: RUF012 - msgspec copies it
    agent: AgentRef | None = None


@operation(scope=INTERNAL, callers=("gateway",), problems=(HookUnknown, HookRefused), raw_body="body")
class ReceiveHook(Request[Hooked], frozen=True):
    """Take a post to a webhook, as it came: body and the headers that vouch for it."""

    trigger_id: UUID
    body: bytes
    media_type: Annotated[str, Meta(max_length=256)] = ""
    message_id: Annotated[str, Meta(max_length=256)] = ""
    timestamp: Annotated[str, Meta(max_length=32)] = ""
    signature: Annotated[str, Meta(max_length=4096)] = ""
    token: Annotated[str, Meta(max_length=512)] = ""

    def __repr__(self) -> str:
        return f"ReceiveHook({self.trigger_id}, hidden)"
