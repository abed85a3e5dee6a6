"""The shape of an assistant: an agent that an org can have for the asking. How it comes to work stands in polis.proto.runtime."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from polis.proto.graph import Graph, JsonSchema
from polis.proto.identity.words import AgentKey, Name, Scopes

Pointer = Annotated[
    str,
    Meta(
        max_length=400,
        pattern=r"^(/[^/\x00-\x1f]+)+$(?!\n)",
        description="A place in the graph (JSON Pointer).",
        examples=["/triggers/said/input/mailbox"],
    ),
]
SettingName = Annotated[
    str,
    Meta(pattern=r"^[a-z][a-z0-9_]{0,62}$(?!\n)", description="Name of a setting.", examples=["mailbox"]),
]


class Setting(Struct, frozen=True, omit_defaults=True):
    """A value that whoever installs the assistant gives, and the places of the graph where it then stands."""

    at: Annotated[tuple[Pointer, ...], Meta(min_length=1, max_length=20)]
    schema: JsonSchema = {}
    description: Annotated[str, Meta(max_length=500)] = ""
    required: bool = True


class Assistant(Struct, frozen=True, omit_defaults=True):
    """An agent as a resource: what it is called, all that it may do, and the graph that answers for it.

    The graph's triggers fire for the agent and its runs act as it. settings: what an org has to say of its own.
    """

    key: AgentKey
    name: Name
    scopes: Scopes
    graph: Graph
    description: Annotated[str, Meta(max_length=500)] = ""
    settings: dict[SettingName, Setting] = {}
