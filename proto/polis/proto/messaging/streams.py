"""Streams: a message that is shown while it is being said, and stands in the conversation once it is complete.

Offsets are in characters, which are Unicode code points: `length` of a string in Python, `[...text].length` in JavaScript.
"""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from polis.proto.contract import Problem, Request, Time, operation, problem
from polis.proto.identity import OverQuota
from polis.proto.messaging.conversations import ConversationArchived, ConversationFull, ConversationNotFound
from polis.proto.messaging.messages import (
    AgentTalkBound,
    AttachmentRefused,
    Attributes,
    MessageNotFound,
    MutedInConversation,
    NotYourTurn,
    Parts,
)
from polis.proto.messaging.words import MAX_TEXT, ClientId, Seq, Text
from polis.proto.runtime.runs import RunNotFound

MAX_PIECE = 8_192
"""Characters that are said at a time."""
MAX_OPEN_STREAMS = 16
"""Streams that are open in a conversation."""
MAX_HELD = 4_096
"""Characters that a paused stream takes and does not show; what comes behind them is left with who speaks."""

StreamState = Annotated[
    Literal["open", "paused", "complete", "partial", "preempted", "cancelled"],
    Meta(
        description="It goes on; it waits; it is said to its end; it broke off; it was ended by somebody; its run was, too.",
        examples=["open"],
    ),
]
Offset = Annotated[int, Meta(ge=0, le=MAX_TEXT, description="Characters of a stream.", examples=[120])]
Priority = Annotated[
    int, Meta(ge=0, le=9, description="How urgent something is; 0: as everything else.", examples=[5])
]
Piece = Annotated[
    str,
    Meta(
        max_length=MAX_PIECE,
        pattern=r"^[^\x00]*$",
        description="Some of what is said (CommonMark).",
        examples=["Hello "],
    ),
]


class StreamStatus(Struct, frozen=True):
    """What has become of a stream, for who speaks in it: while it is `open` go on, while it is `paused` wait, else stop.

    at: characters that were taken: say on from there, and again what was said behind it. shown: how many of them readers see.
    lease_s: it is taken to be lost when nothing is heard of it for so long. message_seq: the message that it has become.
    """

    stream_id: UUID
    state: StreamState
    at: Offset
    shown: Offset
    lease_s: float
    priority: Priority = 0
    message_seq: Seq | None = None


class MessageStream(Struct, frozen=True):
    """A message that is being said: who says it, and its text from `at` on, of `length` characters that are shown so far.

    When `at` and the text's length make less than `length`, GetStream has the rest. message_seq: the message that it has become.
    """

    stream_id: UUID
    conversation_id: UUID
    producer_id: UUID
    state: StreamState
    began_at: Time
    text: Text
    length: Offset
    at: Offset = 0
    reply_to: Seq | None = None
    thread: Seq | None = None
    run_id: UUID | None = None
    priority: Priority = 0
    message_seq: Seq | None = None


class StreamChange(Struct, frozen=True):
    """What a follower of a conversation is told of a stream: a further piece of its text, or what has become of it. Never kept.

    at: where the piece begins. Who has less than that has missed something: GetStream tells it. Who has more has heard it.
    message_seq: the message that it has become, which the entry of its posting holds.
    """

    stream_id: UUID
    producer_id: UUID
    at: Offset
    text: str = ""
    state: StreamState = "open"
    reply_to: Seq | None = None
    message_seq: Seq | None = None


@problem(status=404)
class StreamNotFound(Problem, frozen=True):
    """There is no such stream that the caller may see, or it ended long ago."""

    stream_id: UUID


@problem(status=409)
class StreamPaused(Problem, frozen=True):
    """The stream is paused: it ends when it was resumed, or by being abandoned."""

    stream_id: UUID


@problem(status=409)
class StreamIncomplete(Problem, frozen=True):
    """Fewer characters of the stream were taken than were said: they are said again from `at` on."""

    stream_id: UUID
    at: int


@operation(
    http="POST /conversations/{conversation_id}/streams",
    scope="messaging:write",
    problems=(
        ConversationNotFound,
        ConversationArchived,
        ConversationFull,
        MessageNotFound,
        MutedInConversation,
        NotYourTurn,
        AgentTalkBound,
        RunNotFound,
        OverQuota,
    ),
    idempotent=False,
    on_socket=True,
)
class BeginStream(Request[StreamStatus], frozen=True):
    """Begin to say something in a conversation that the caller takes part in; a repeat with its `client_id` answers what has become of it.

    run_id: the run that says it, of the caller's own: it is cancelled with the stream.
    """

    conversation_id: UUID
    client_id: ClientId
    reply_to: Seq | None = None
    thread: Seq | None = None
    run_id: UUID | None = None


@operation(
    http="POST /streams/{stream_id}/text",
    scope="messaging:write",
    problems=(StreamNotFound, ConversationFull),
    idempotent=False,
    on_socket=True,
)
class ContinueStream(Request[StreamStatus], frozen=True):
    """Say on, from `at`. What was taken before is passed over, what is said behind a gap is not taken; the answer tells where to say on.

    An empty text tells that who speaks is still there.
    """

    stream_id: UUID
    at: Offset
    text: Piece = ""


@operation(
    http="POST /streams/{stream_id}/end",
    scope="messaging:write",
    problems=(StreamNotFound, StreamPaused, StreamIncomplete, AttachmentRefused),
    idempotent=False,
    on_socket=True,
)
class EndStream(Request[StreamStatus], frozen=True):
    """Let what was said be a message of the conversation. A stream that has ended before stays what it is, as the answer tells.

    at: how many characters were said; it is refused when fewer were taken.
    """

    stream_id: UUID
    at: Offset | None = None
    parts: Parts = ()
    attributes: Attributes = {}  # noqa: RUF012 - msgspec copies it


@operation(
    http="POST /streams/{stream_id}/abandon",
    scope="messaging:write",
    problems=(StreamNotFound,),
    idempotent=False,
    on_socket=True,
)
class AbandonStream(Request[StreamStatus], frozen=True):
    """Say no more: what is shown stays as a partial message; where nothing is, nothing stays."""

    stream_id: UUID
    reason: Annotated[str, Meta(max_length=200, pattern=r"^[^\x00]*$")] = ""


@operation(
    http="GET /streams/{stream_id}",
    scope="messaging:read",
    problems=(StreamNotFound,),
)
class GetStream(Request[MessageStream], frozen=True):
    """Read what is shown of a stream by now, from `at` on. Of one that has ended the message alone tells it."""

    stream_id: UUID
    at: Offset = 0
