"""Control of who speaks in a conversation: a closed set of things that may be said to them, and what became of each."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias
from uuid import UUID

from msgspec import Meta, Struct

from polis.proto.contract import Event, Problem, Request, event, operation, problem
from polis.proto.messaging.conversations import (
    ConversationArchived,
    ConversationFull,
    ConversationNotFound,
    RecipientUnknown,
)
from polis.proto.messaging.handoffs import HandoffWaits
from polis.proto.messaging.participants import BannedFromConversation
from polis.proto.messaging.streams import Offset, Priority, StreamNotFound, StreamState
from polis.proto.messaging.words import Seq
from polis.proto.runtime.runs import RunNotFound
from polis.proto.runtime.words import Addressee

ControlReason = Annotated[
    str,
    Meta(
        max_length=500, pattern=r"^[^\x00]*$", description="Why, for people to read.", examples=["Off topic"]
    ),
]
ControlSummary = Annotated[
    str,
    Meta(
        max_length=4_000,
        pattern=r"^[^\x00]*$",
        description="What the next one has to know, for them to read.",
        examples=["They ask for a refund of order 12."],
    ),
]


class PauseControl(Struct, frozen=True, tag_field="kind", tag="pause"):
    """Show nothing further until it is resumed; nothing of what is said meanwhile is lost."""

    reason: ControlReason = ""


class ResumeControl(Struct, frozen=True, tag_field="kind", tag="resume"):
    """Go on where it was paused."""

    reason: ControlReason = ""


class PreemptControl(Struct, frozen=True, tag_field="kind", tag="preempt"):
    """End it here: what was shown stays, as a message that says so."""

    reason: ControlReason = ""


class CancelControl(Struct, frozen=True, tag_field="kind", tag="cancel"):
    """End it here, and the run that says it."""

    reason: ControlReason = ""


class PriorityControl(Struct, frozen=True, tag_field="kind", tag="priority"):
    """Let it be this urgent, as who speaks is told."""

    level: Priority
    reason: ControlReason = ""


class RouteControl(Struct, frozen=True, tag_field="kind", tag="route"):
    """Let another agent answer in the conversation from now on."""

    to: UUID
    reason: ControlReason = ""


class HandoffControl(Struct, frozen=True, tag_field="kind", tag="handoff"):
    """Ask somebody to take the conversation over; `summary`: what they have to know. timeout_s: in which they claim it."""

    to: Addressee
    reason: ControlReason
    summary: ControlSummary = ""
    timeout_s: Annotated[float, Meta(ge=1, le=2_592_000, description="Seconds.")] = 86_400


Control: TypeAlias = (
    PauseControl
    | ResumeControl
    | PreemptControl
    | CancelControl
    | PriorityControl
    | RouteControl
    | HandoffControl
)
"""Everything that may be said to who speaks; there is nothing else, and no other way to write an entry of this kind."""
ControlKind = Annotated[
    Literal["pause", "resume", "preempt", "cancel", "priority", "route", "handoff"],
    Meta(examples=["pause"]),
]


class ControlledStream(Struct, frozen=True):
    """What became of a stream: its state, how many characters are shown, and the message that it has become."""

    stream_id: UUID
    state: StreamState
    shown: Offset
    message_seq: Seq | None = None


class Controlled(Struct, frozen=True):
    """What was said to who speaks, and what became of their streams. Its entry tells who said it and when."""

    control: Control
    streams: tuple[ControlledStream, ...] = ()


class ControlAnswer(Struct, frozen=True):
    """The entry of it, none where it changed nothing; and what the streams are by now."""

    conversation_id: UUID
    seq: Seq | None
    streams: tuple[ControlledStream, ...] = ()


@event(entity="conversation_id")
class ConversationControlled(Event, frozen=True):
    """Somebody controlled who speaks in a conversation."""

    conversation_id: UUID
    seq: Seq
    by: UUID
    kind: ControlKind
    stream_ids: tuple[UUID, ...] = ()


@problem(status=409)
class NothingIsSaid(Problem, frozen=True):
    """No stream of the conversation is open that this could be done to."""

    conversation_id: UUID


@operation(
    http="POST /conversations/{conversation_id}/control",
    scope="messaging:write",
    problems=(
        ConversationNotFound,
        ConversationArchived,
        ConversationFull,
        StreamNotFound,
        NothingIsSaid,
        RunNotFound,
        RecipientUnknown,
        HandoffWaits,
        BannedFromConversation,
    ),
    on_socket=True,
)
class ControlConversation(Request[ControlAnswer], frozen=True):
    """Pause, resume or end what is being said in a conversation, or give it to somebody else. It is an entry of the conversation.

    stream_id: the stream that is meant; without one, all that are open. Who may say something there may pause, resume and
    preempt. The rest is for owners and admins, either of two, and who holds a grant of `messaging:control` on `conversation/<id>`;
    cancelling for who is being answered, too; routing and handing off for who is responsible.
    """

    conversation_id: UUID
    control: Control
    stream_id: UUID | None = None
