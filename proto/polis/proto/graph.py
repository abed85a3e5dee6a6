"""The shape of graphs and components: nodes, edges, ports. How one is checked stands in polis.graph."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from polis.proto.trigger import MAX_TRIGGERS, TriggerName, TriggerSpec

JsonSchema = dict[str, object]
NodeName = Annotated[
    str,
    Meta(
        pattern=r"^[a-z][a-z0-9_]{0,62}$(?!\n)",
        description="Name of a node, unique in its graph.",
        examples=["read"],
    ),
]
PortName = Annotated[
    str, Meta(pattern=r"^[a-z][a-z0-9_]{0,62}$(?!\n)", description="Name of a port.", examples=["out"])
]
PortRef = Annotated[
    str,
    Meta(
        pattern=r"^[a-z][a-z0-9_]{0,62}\.[a-z][a-z0-9_]{0,62}$(?!\n)",
        description="`node.port`",
        examples=["read.out"],
    ),
]
ComponentKey = Annotated[
    str,
    Meta(
        pattern=r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$(?!\n)",
        max_length=120,
        description="Name of a component.",
        examples=["mail.read_mailbox"],
    ),
]
Activity = Literal["typing", "thinking", "idle", "error"]
"""What a body does while the step runs (E28)."""

ERROR_PORT = "error"
"""Every node has this output: an edge from it takes what failed; without one, a failure fails the run."""


class Port(Struct, frozen=True, omit_defaults=True):
    """A typed input or output."""

    schema: JsonSchema = {}
    description: str = ""
    required: bool = True


class Component(Struct, frozen=True, omit_defaults=True):
    """What a node can be: its ports, its configuration, whether it is pure, and what it looks like at work.

    pure: same input, same output, no effect; such a step is recomputed after a crash instead of journaled.
    merge: how several inputs fire: `any` on each message, `all` when each port has one (they are taken together).
    collects: it takes every message of its input before it emits (it ends with the input's stream).
    """

    key: ComponentKey
    title: str
    description: str = ""
    inputs: dict[PortName, Port] = {}
    outputs: dict[PortName, Port] = {}
    config: JsonSchema = field(default_factory=lambda: {"type": "object", "additionalProperties": False})
    pure: bool = True
    merge: Literal["any", "all"] = "any"
    collects: bool = False
    activity: Activity = "typing"
    scopes: tuple[str, ...] = ()


class Retry(Struct, frozen=True, omit_defaults=True):
    """How often and how patiently a failing step is tried again (full jitter)."""

    attempts: Annotated[int, Meta(ge=1, le=20)] = 3
    delay_s: Annotated[float, Meta(gt=0, le=3600)] = 1.0
    factor: Annotated[float, Meta(ge=1, le=10)] = 2.0
    max_delay_s: Annotated[float, Meta(gt=0, le=86400)] = 60.0


class Node(Struct, frozen=True, omit_defaults=True):
    """One step of a graph: a component with its configuration."""

    component: ComponentKey
    config: dict[str, object] = {}
    title: str = ""
    retry: Retry | None = None
    timeout_s: Annotated[float, Meta(gt=0, le=86400)] | None = None
    concurrency: Annotated[int, Meta(ge=1, le=64)] = 8


class Edge(Struct, frozen=True):
    """Messages that leave `source` arrive at `target`."""

    source: PortRef
    target: PortRef


class GraphInput(Struct, frozen=True, omit_defaults=True):
    """A named value that a run starts with."""

    target: PortRef
    schema: JsonSchema = {}
    required: bool = True
    default: object = None
    description: str = ""


class GraphOutput(Struct, frozen=True, omit_defaults=True):
    """A named result: the last message of a port, or all of them in order."""

    source: PortRef
    many: bool = False


class Graph(Struct, frozen=True, omit_defaults=True):
    """A directed acyclic graph of nodes.

    inputs: named values a run starts with; each goes to the port it names. outputs: each collects one port's messages.
    triggers: when it runs by itself, in environments where it is active.
    """

    nodes: Annotated[dict[NodeName, Node], Meta(min_length=1, max_length=500)]
    edges: Annotated[tuple[Edge, ...], Meta(max_length=5000)] = ()
    inputs: dict[PortName, GraphInput] = {}
    outputs: dict[PortName, GraphOutput] = {}
    description: str = ""
    timeout_s: Annotated[float, Meta(gt=0, le=604800)] = 3600.0
    triggers: Annotated[dict[TriggerName, TriggerSpec], Meta(max_length=MAX_TRIGGERS)] = {}
