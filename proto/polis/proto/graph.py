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

Effect = Annotated[
    Literal[
        "artifact", "clock", "database", "event", "files", "http", "log", "mail", "mesh", "random", "secret"
    ],
    Meta(
        description="What a step does or asks outside its run: writes a file of the org, reads the time, a foreign database, "
        "tells an event, reads files of the host, calls over HTTP, writes a log line, mails, calls the mesh, draws by "
        "chance, uses a secret."
    ),
]  # fmt: skip

Merge = Literal["any", "all", "zip", "latest"]
"""How the messages of several inputs come together.

any: each by itself. all: the first of each connected input, then the second of each, until one of them ends. zip: the same,
but it is an error when one of them ends before the others. latest: once each input has had one, every further message with
the last of the others; which those were is kept in the journal, so that a repetition takes the same.
"""
ErrorPattern = Annotated[
    str,
    Meta(
        pattern=r"^([a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*(\.\*)?|\*)$(?!\n)",
        max_length=120,
        description="Kind of an error, or those that begin with it (`http.*`), or all (`*`).",
        examples=["http.*"],
    ),
]

ERROR_PORT = "error"
"""Every node has this output: an edge from it takes what failed; without one, a failure fails the run."""


class Port(Struct, frozen=True, omit_defaults=True):
    """A typed input or output."""

    schema: JsonSchema = {}
    description: str = ""
    required: bool = True


class Most(Struct, frozen=True, omit_defaults=True):
    """How much of something a component takes or gives at the most; `config` is the field that sets a bound of its own."""

    most: Annotated[float, Meta(gt=0)]
    unit: Annotated[str, Meta(pattern=r"^[a-z]{1,30}$(?!\n)", examples=["items", "bytes"])]
    config: str = ""


class Example(Struct, frozen=True, omit_defaults=True):
    """A configuration that works: the messages that go in, and what comes out where that is certain.

    input: one message for each port, or a stream as several of these; output: every message of the ports named.
    """

    title: str
    config: dict[str, object] = {}
    input: tuple[dict[PortName, object], ...] = ()
    output: dict[PortName, tuple[object, ...]] = {}


class JavaScript(Struct, frozen=True, omit_defaults=True, tag_field="type", tag="javascript"):
    """A script that defines `process(ctx, port, value)`, called for each message; it emits by `ctx.emit(port, value)`.

    It sees nothing but these, `ctx.config` and `ctx.key`, and keeps nothing from one call to the next. Its clock stands still and
    its chance follows from the key, so that the same message gives the same result. timeout_s: of the processor's time.
    """

    source: Annotated[str, Meta(min_length=1, max_length=64 * 1024)]
    timeout_s: Annotated[float, Meta(gt=0, le=10)] = 1.0
    memory_mb: Annotated[int, Meta(ge=4, le=128)] = 32


class External(Struct, frozen=True, omit_defaults=True, tag_field="type", tag="external"):
    """Workers outside claim each message as a job, by the component's key, and bring what it emits or why it failed.

    lease_s: a job of which nothing is heard for so long is offered again. attempts: how often it is offered at the most.
    timeout_s: from when it is offered first until it has its outcome.
    """

    lease_s: Annotated[float, Meta(ge=1, le=3600)] = 30.0
    attempts: Annotated[int, Meta(ge=1, le=20)] = 3
    timeout_s: Annotated[float, Meta(gt=0, le=604800)] = 3600.0


class Component(Struct, frozen=True, omit_defaults=True):
    """What a node can be: its ports, its configuration, whether it is pure, and what it looks like at work.

    pure: same input, same output, no effect; such a step is recomputed after a crash instead of journaled.
    merge: how the messages of several inputs come together. merges: policies that a node may choose besides; where it takes
    one of each input, it may without saying so: `all`, `zip`, `latest`.
    collects: it takes the messages of its input one by one and emits as it likes (it ends with the input's stream).
    body: it runs the graph in its configuration (`graph`): once for each message, with that graph's inputs and outputs as its
    ports; for each of the items of a list (inputs `item`, `index`); or in rounds over a state (`state`, `round`).
    trust: whose word its results are: of a `model`, or what they are made of, but with the `approval` of people; whatever is made
    of them carries that on, and nothing takes it off.
    effects: what it does or asks outside the run; what is pure has none. limits: its bounds, by name.
    execution: what runs it; without one it is part of the runtime.
    """

    key: ComponentKey
    title: str
    description: str = ""
    inputs: dict[PortName, Port] = {}
    outputs: dict[PortName, Port] = {}
    config: JsonSchema = field(default_factory=lambda: {"type": "object", "additionalProperties": False})
    pure: bool = True
    merge: Merge = "any"
    collects: bool = False
    activity: Activity = "typing"
    scopes: tuple[str, ...] = ()
    effects: tuple[Effect, ...] = ()
    limits: dict[PortName, Most] = {}
    examples: Annotated[tuple[Example, ...], Meta(max_length=10)] = ()
    execution: JavaScript | External | None = None
    body: Literal["once", "items", "rounds"] | None = None
    merges: tuple[Merge, ...] = ()
    trust: Literal["model", "approval"] | None = None


class Retry(Struct, frozen=True, omit_defaults=True):
    """How often and how patiently a failing step is tried again (full jitter).

    on: kinds of errors that are tried again; without it those that say of themselves that it may help. not_on: kinds that are
    not in any case.
    """

    attempts: Annotated[int, Meta(ge=1, le=20)] = 3
    delay_s: Annotated[float, Meta(gt=0, le=3600)] = 1.0
    factor: Annotated[float, Meta(ge=1, le=10)] = 2.0
    max_delay_s: Annotated[float, Meta(gt=0, le=86400)] = 60.0
    on: Annotated[tuple[ErrorPattern, ...], Meta(max_length=20)] = ()
    not_on: Annotated[tuple[ErrorPattern, ...], Meta(max_length=20)] = ()


class Compensation(Struct, frozen=True, omit_defaults=True):
    """What undoes the effect of a step, when its run fails or is cancelled: a component, which may run a graph.

    Its one input takes an object: `step` and `key` of what is undone, its `inputs` by port, and its `outputs`, a list by port.
    """

    component: ComponentKey
    config: dict[str, object] = {}
    retry: Retry | None = field(default_factory=Retry)
    timeout_s: Annotated[float, Meta(gt=0, le=3600)] = 60.0


class Node(Struct, frozen=True, omit_defaults=True):
    """One step of a graph: a component with its configuration.

    merge: how several inputs come together, where it is another way than the component's. heartbeat_timeout_s: an attempt that
    has given no sign of life for longer has failed. compensate: what undoes it: of the steps that took effect, in the reverse
    order in which they did.
    """

    component: ComponentKey
    config: dict[str, object] = {}
    title: str = ""
    retry: Retry | None = None
    timeout_s: Annotated[float, Meta(gt=0, le=86400)] | None = None
    concurrency: Annotated[int, Meta(ge=1, le=64)] = 8
    merge: Merge | None = None
    heartbeat_timeout_s: Annotated[float, Meta(gt=0, le=86400)] | None = None
    compensate: Compensation | None = None


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
    record: whose messages are kept for the timeline, within bounds and without what their schemas keep back (`x-data-class`):
    of no node, of those with effects, of all. slow_after_s: a run at work for longer is told of as slow.
    """

    nodes: Annotated[dict[NodeName, Node], Meta(min_length=1, max_length=500)]
    edges: Annotated[tuple[Edge, ...], Meta(max_length=5000)] = ()
    inputs: dict[PortName, GraphInput] = {}
    outputs: dict[PortName, GraphOutput] = {}
    description: str = ""
    timeout_s: Annotated[float, Meta(gt=0, le=31622400)] = 3600.0
    record: Literal["none", "effects", "all"] = "none"
    slow_after_s: Annotated[float, Meta(gt=0, le=604800)] | None = None
    triggers: Annotated[dict[TriggerName, TriggerSpec], Meta(max_length=MAX_TRIGGERS)] = {}
