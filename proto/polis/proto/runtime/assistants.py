"""Assistants: agents that an org has for the asking, each a principal with a graph that answers what is said to it."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from polis.proto.assistant import SettingName
from polis.proto.catalog import ResourceKey, VersionNumber
from polis.proto.contract import Problem, Request, operation, problem
from polis.proto.identity import AgentKey
from polis.proto.problems import Fault

Settings = Annotated[
    dict[SettingName, object],
    Meta(
        description="What the assistant asks for, by name.",
        examples=[{"mailbox": {"artifact_id": "0190d3c4-1c2f-7a53-8a3e-2f6b7d1f0c11"}}],
    ),
]


class Installed(Struct, frozen=True):
    """An assistant at work: the agent to talk to, and the graph that answers for it."""

    agent_id: UUID
    agent: AgentKey
    resource_id: UUID
    graph: ResourceKey
    number: VersionNumber


@problem(status=404)
class AssistantNotFound(Problem, frozen=True):
    """No assistant that the caller may see has this key and an active version."""

    assistant: str


@problem(status=422)
class AssistantInvalid(Problem, frozen=True):
    """The resource is no assistant, or not with these settings; every fault is listed."""

    faults: tuple[Fault, ...]


@operation(
    http="POST /assistants/{assistant}/install",
    scope="identity:agents",
    problems=(AssistantNotFound, AssistantInvalid),
    idempotent=False,
)
class InstallAssistant(Request[Installed], frozen=True):
    """Let an assistant work in the org: its agent is made, if there is none of the key, and its graph activated; again, it is brought up to date.

    The answer comes when it listens, or after five seconds. All of it is done as the caller, who may do no less. An agent that is there already keeps what it may do. Those that ship are
    among the public resources of type `assistant`.
    """

    assistant: ResourceKey
    settings: Settings = {}  # noqa: RUF012 - msgspec copies it
    key: AgentKey | None = None
