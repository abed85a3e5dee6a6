"""What messaging tells the rest of the mesh. Nothing that was said is in an event: who may know it asks for it."""

from __future__ import annotations

from uuid import UUID

from polis.proto.contract import Event, event
from polis.proto.messaging.words import ConversationKind, Emoji, ParticipantRole, ParticipantState, Seq


@event(entity="conversation_id")
class ConversationCreated(Event, frozen=True):
    """A conversation was begun."""

    conversation_id: UUID
    kind: ConversationKind
    by: UUID


@event(entity="conversation_id")
class ConversationChanged(Event, frozen=True):
    """A conversation is called, seen or kept otherwise from now on, was archived or opened again."""

    conversation_id: UUID
    seq: Seq
    by: UUID
    archived: bool


@event(entity="conversation_id")
class ParticipantChanged(Event, frozen=True):
    """Somebody is this in a conversation from now on."""

    conversation_id: UUID
    seq: Seq
    principal_id: UUID
    role: ParticipantRole
    state: ParticipantState
    by: UUID


@event(entity="conversation_id")
class MessagePosted(Event, frozen=True):
    """Somebody said something; `mentions`: whom it addresses."""

    conversation_id: UUID
    seq: Seq
    sender_id: UUID
    thread: Seq | None = None
    reply_to: Seq | None = None
    mentions: tuple[UUID, ...] = ()


@event(entity="conversation_id")
class MessageChanged(Event, frozen=True):
    """A message says something else from now on."""

    conversation_id: UUID
    seq: Seq
    message_seq: Seq
    by: UUID
    revision: int


@event(entity="conversation_id")
class MessageRemoved(Event, frozen=True):
    """A message was deleted."""

    conversation_id: UUID
    seq: Seq
    message_seq: Seq
    by: UUID


@event(entity="conversation_id")
class MessageReacted(Event, frozen=True):
    """Somebody answered a message with a sign, or took it back."""

    conversation_id: UUID
    seq: Seq
    message_seq: Seq
    by: UUID
    emoji: Emoji
    on: bool


@event(entity="conversation_id")
class MessagePinned(Event, frozen=True):
    """A message was pinned, or its pin taken off."""

    conversation_id: UUID
    seq: Seq
    message_seq: Seq
    by: UUID
    pinned: bool
