"""What is said on `/api/v1/live`: topics that a client follows, and operations that it calls, over one WebSocket.

Each frame is one JSON object; where the client asked for the subprotocol `polis.v1.msgpack`, the same in MessagePack.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta, Raw, Struct

from polis.proto.contract import Operation, operations
from polis.proto.identity import GetAgent
from polis.proto.messaging import (
    ConversationChange,
    ConversationSnapshot,
    ParticipationChange,
    ParticipationsSnapshot,
    PresenceChange,
    PresenceSnapshot,
    WatchConversation,
    WatchParticipations,
    WatchPresence,
)
from polis.proto.registry import load
from polis.proto.runtime import (
    InboxChange,
    InboxSnapshot,
    ListAsks,
    RunLogChange,
    RunSnapshot,
    Transition,
    WatchRun,
)

JSON_PROTOCOL, MSGPACK_PROTOCOL = "polis.v1.json", "polis.v1.msgpack"
MAX_FRAME = 128 * 1024
"""Bytes of the largest frame that a client may send."""
MAX_WISHES = 32
ANNOUNCED = "messaging.announced"
"""What an announcement is told as on the topic `org`, to whoever holds the scope."""
ANNOUNCED_SCOPE = "messaging:read"


class OrgEvent(Struct, frozen=True):
    """Something that happened in the org, numbered from the subscription on. `kind` says what (`runtime.run_started`), `data` is that event.

    Of the kind `messaging.announced` it is an announcement, told on `org` alone.
    """

    seq: int
    id: str
    at: str
    kind: str
    data: Raw


class OrgSnapshot(Struct, frozen=True):
    """What the caller is told of from now on, by kind. The topics `org` and `agent/<agent>` keep nothing: each subscription begins anew."""

    seq: int
    kinds: tuple[str, ...]


class TopicKind(NamedTuple):
    """What may be followed. read: the request whose rights it has; of an org those of the events that are shown.

    changes: what is told of it, each as one of these. Of an agent (its id, key or number) those of the org's events are told that are about it, or about runs as it.
    """

    name: str
    snapshot: type[Struct]
    changes: tuple[type[Struct], ...]
    read: type[Struct] | None

    @property
    def kind(self) -> str:
        """The word that its topics begin with."""
        return self.name.partition("/")[0]


TOPICS = (
    TopicKind("run/<id>", RunSnapshot, (Transition, RunLogChange), WatchRun),
    TopicKind("conversation/<id>", ConversationSnapshot, (ConversationChange,), WatchConversation),
    TopicKind("conversations", ParticipationsSnapshot, (ParticipationChange,), WatchParticipations),
    TopicKind("asks", InboxSnapshot, (InboxChange,), ListAsks),
    TopicKind("presence", PresenceSnapshot, (PresenceChange,), WatchPresence),
    TopicKind("org", OrgSnapshot, (OrgEvent,), None),
    TopicKind("agent/<agent>", OrgSnapshot, (OrgEvent,), GetAgent),
)
"""All of them; the gateway follows each, and the matrix of rights has a row for each."""

Topic = Annotated[
    str,
    Meta(
        max_length=128,
        description=f"What is followed: {', '.join(f'`{topic.name}`' for topic in TOPICS)}.",
        examples=["run/0190c0de-0000-7000-8000-000000000001"],
    ),
]
CallId = Annotated[
    int, Meta(ge=0, le=2**53 - 1, description="Chosen by the client; its answer carries it.", examples=[7])
]
Kinds = Annotated[
    tuple[Annotated[str, Meta(min_length=1, max_length=64)], ...],
    Meta(
        max_length=MAX_WISHES,
        description="Only changes of these kinds are told; none: all. Of a run its states, `step`, and `log` (only where it is named), of a conversation"
        " kinds of entries, `typing`, `presence`, `mark` and `stream`, of an org or an agent facts (`runtime.run_succeeded`),"
        " of lists and of presence the fields of a change. One that the topic does not know is refused.",
    ),
]
Fields = Annotated[
    tuple[
        Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*){0,3}$(?!\n)", max_length=128)], ...
    ],
    Meta(
        max_length=MAX_WISHES,
        description="Only these fields of a change are told, and its `seq`; none: all. One that no change has is refused.",
        examples=[["entry.kind", "entry.message.text"]],
    ),
]


class Subscribe(Struct, frozen=True, tag_field="op", tag="subscribe", forbid_unknown_fields=True):
    """Follow a topic: from now on with a snapshot, or behind the number that was seen last.

    What is left out by `kinds` still counts: `seq` of a later frame is past it.
    """

    topic: Topic
    after: Annotated[int, Meta(ge=0, le=2**53 - 1)] | None = None
    kinds: Kinds = ()
    fields: Fields = ()


class Unsubscribe(Struct, frozen=True, tag_field="op", tag="unsubscribe", forbid_unknown_fields=True):
    """Follow a topic no more."""

    topic: Topic


class Call(Struct, frozen=True, tag_field="op", tag="call", forbid_unknown_fields=True):
    """Call an operation that may be called here: `name` is that of its request, `request` holds all of its fields.

    key: as `Idempotency-Key` on HTTP.
    """

    id: CallId
    name: Annotated[str, Meta(max_length=64, examples=["PostMessage"])]
    request: Raw
    key: Annotated[str, Meta(pattern=r"^[ -~]*$(?!\n)", max_length=255)] = ""


class Ping(Struct, frozen=True, tag_field="op", tag="ping", forbid_unknown_fields=True):
    """Ask for a sign of life; a page cannot see those of the protocol."""


Said = Subscribe | Unsubscribe | Call | Ping
"""What a client may say."""


class SnapshotFrame(Struct, frozen=True, tag_field="op", tag="snapshot"):
    """How a topic is, or what came behind the number that was given. `seq` is the number to come back with."""

    topic: Topic
    seq: int
    data: object


class EventsFrame(Struct, frozen=True, tag_field="op", tag="events"):
    """What has changed since, in order. `data` may be empty: then only `seq` has moved, past what was not asked for."""

    topic: Topic
    seq: int
    data: tuple[object, ...]


class EndFrame(Struct, frozen=True, tag_field="op", tag="end"):
    """Nothing more will happen on this topic."""

    topic: Topic
    seq: int


class AckFrame(Struct, frozen=True, tag_field="op", tag="ack"):
    """What a call came to: its answer, as it is on HTTP; null where that is empty."""

    id: CallId
    data: object


class ProblemFrame(Struct, frozen=True, tag_field="op", tag="problem", omit_defaults=True):
    """Why a call was refused, or a topic is followed no more (RFC 9457)."""

    problem: object
    id: CallId | None = None
    topic: Topic | None = None


class PongFrame(Struct, frozen=True, tag_field="op", tag="pong"):
    """The gateway is still there."""


Told = SnapshotFrame | EventsFrame | EndFrame | AckFrame | ProblemFrame | PongFrame
"""What a client is told."""

CLOSED = {
    1012: "the gateway asks to come back: it restarts",
    4400: "what was said is not understood",
    4401: "the token or the session does not hold any more",
    4408: "the client reads too slowly",
}


def callable_here() -> dict[str, Operation]:
    """The operations that may be called on the socket, by the names of their requests."""
    load()
    return {o.request.__name__: o for o in operations() if o.on_socket}


said_in_json = msgspec.json.Decoder(Said)
said_in_msgpack = msgspec.msgpack.Decoder(Said)
