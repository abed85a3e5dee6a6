"""Following conversations: entries as they are made, typing and presence, and what was missed meanwhile."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from polis.proto.contract import INTERNAL, Limit, Page, Request, Time, live, operation
from polis.proto.messaging.control import Controlled
from polis.proto.messaging.conversations import Conversation, ConversationArchived, ConversationNotFound
from polis.proto.messaging.handoffs import Handoff
from polis.proto.messaging.marks import ReadMark
from polis.proto.messaging.messages import Message, MutedInConversation
from polis.proto.messaging.participants import Participant
from polis.proto.messaging.streams import MessageStream, StreamChange
from polis.proto.messaging.turns import AnswerTurn
from polis.proto.messaging.words import EntryKind, ParticipantRole, ParticipantState, Position

PresenceState = Annotated[Literal["online", "away", "busy", "offline"], Meta(examples=["online"])]
Doing = Annotated[
    str,
    Meta(
        max_length=120,
        pattern=r"^[^\x00-\x1f\x7f]*$(?!\n)",
        description="What somebody is at or looks at, in their own words; it holds as long as the presence.",
        examples=["watching sarah"],
    ),
]
PRESENCE_S = 60
"""Seconds that a presence holds which nobody tells again."""
TYPING_S = 6
"""Seconds that somebody is taken to be typing who does not say so again."""


class Entry(Struct, frozen=True):
    """One thing that happened in a conversation, numbered from 1 without gaps, the same for everybody.

    It carries what it happened to as that is since then (read later, a message as it is now): the message, the participant,
    the conversation, the handoff, or the turn. So a snapshot with the entries behind it applied is the next snapshot.
    """

    seq: int
    at: Time
    kind: EntryKind
    actor_id: UUID
    message: Message | None = None
    participant: Participant | None = None
    conversation: Conversation | None = None
    handoff: Handoff | None = None
    control: Controlled | None = None
    turn: AnswerTurn | None = None


class Typing(Struct, frozen=True):
    """Somebody is typing, until this moment if nothing else is heard."""

    principal_id: UUID
    until: Time


class Presence(Struct, frozen=True):
    """How somebody is about, until this moment if nothing else is heard."""

    principal_id: UUID
    state: PresenceState
    until: Time
    doing: Doing = ""


class LiveConversation(Struct, frozen=True):
    """What travels on `live.<org>.conversation.<id>`: entries that are committed, in order; and what is never kept."""

    entries: tuple[Entry, ...] = ()
    typing: tuple[Typing, ...] = ()
    presence: tuple[Presence, ...] = ()
    marks: tuple[ReadMark, ...] = ()
    streams: tuple[StreamChange, ...] = ()


class ConversationChange(Struct, frozen=True):
    """What a follower of a conversation is told: an entry, or something that is never kept, which has the number of the last entry."""

    seq: int
    entry: Entry | None = None
    typing: Typing | None = None
    presence: Presence | None = None
    mark: ReadMark | None = None
    stream: StreamChange | None = None


class ConversationSnapshot(Struct, frozen=True):
    """A conversation as it is; or, behind a cursor, what came after it. `seq` is the last entry contained.

    handoffs: the one that waits and the one that was claimed, where there are any.
    recovered: whether `entries` continue the caller's cursor; otherwise it starts from `participants` and the newest
    `messages`, oldest first. complete: whether all participants are there. streams: what is being said now, as far as it is
    shown. When `seq` is below the conversation's `head_seq`, there is more to ask for.
    """

    conversation: Conversation
    seq: int
    participants: tuple[Participant, ...] = ()
    messages: tuple[Message, ...] = ()
    entries: tuple[Entry, ...] = ()
    recovered: bool = True
    complete: bool = True
    handoffs: tuple[Handoff, ...] = ()
    streams: tuple[MessageStream, ...] = ()


class Missed(Struct, frozen=True):
    """What somebody missed: of each conversation where something happened, as WatchConversation tells it.

    cursor: what a device knows with this answer; it keeps it, and gives it back the next time. gone: conversations that it
    knew and that the caller takes part in no more. more: whether there is more to ask for at once.
    """

    conversations: tuple[ConversationSnapshot, ...]
    cursor: str
    gone: tuple[UUID, ...] = ()
    more: bool = False


class Watched(Struct, frozen=True):
    """Who follows a conversation at a gateway."""

    org_id: UUID
    conversation_id: UUID
    principal_ids: Annotated[tuple[UUID, ...], Meta(max_length=10_000)]


class WatchedState(Struct, frozen=True):
    """A followed conversation's last entry, and who of its followers may see it no more."""

    conversation_id: UUID
    seq: int
    lost: tuple[UUID, ...] = ()


class WatchedStates(Struct, frozen=True):
    """What holds of followed conversations, in the order in which they were asked for."""

    states: tuple[WatchedState, ...]


class PresenceSnapshot(Struct, frozen=True):
    """Who of those who share a conversation with somebody is about. `principal_ids`: all of them, of whom more may be told.

    conversation_ids: those that are looked at: the ones where something happened last.
    """

    seq: int
    presences: tuple[Presence, ...]
    principal_ids: tuple[UUID, ...]
    conversation_ids: tuple[UUID, ...]


class PresenceChange(Struct, frozen=True):
    """Somebody is about otherwise, or still; numbered from the subscription on."""

    seq: int
    presence: Presence


class Participation(Struct, frozen=True):
    """What somebody is in a conversation: joined or invited, as what, and since when that is so."""

    conversation_id: UUID
    role: ParticipantRole
    state: ParticipantState
    since: Time


class ParticipationsSnapshot(Struct, frozen=True):
    """What somebody takes part in or is invited to, the latest first. `more`: and there are earlier ones."""

    seq: int
    participations: tuple[Participation, ...]
    more: bool = False


class ParticipationChange(Struct, frozen=True):
    """Somebody takes part in a conversation or is invited to it, as that is now, or does so no more; numbered from the snapshot on."""

    seq: int
    participation: Participation | None = None
    left: UUID | None = None


class LivePresence(Struct, frozen=True):
    """What travels on `live.<org>.presence.<org>`: how somebody in the org is about. Gateways tell it to those who may know."""

    presence: Presence


LIVE_PRESENCE = live(LivePresence, topic="presence", entity="org_id")
LIVE_CONVERSATION = live(LiveConversation, topic="conversation", entity="conversation_id")


@operation(
    http="GET /conversations/{conversation_id}/snapshot",
    scope="messaging:read",
    problems=(ConversationNotFound,),
)
class WatchConversation(Request[ConversationSnapshot], frozen=True):
    """Read a conversation with its newest messages, or what came after an entry: the authorised start of a live subscription."""

    conversation_id: UUID
    after: Position | None = None


@operation(http="POST /sync", scope="messaging:read", idempotent=False)
class PullMissed(Request[Missed], frozen=True):
    """Read what one device of the caller missed, in the conversations that it takes part in: the 2,000 where something happened last.

    Without a cursor, and of conversations that the device does not know yet, it is told how they are.
    """

    cursor: Annotated[str, Meta(max_length=80_000, description="What the last answer gave this device.")] = ""
    limit: Limit = 50


@operation(
    http="POST /conversations/{conversation_id}/typing",
    scope="messaging:write",
    problems=(ConversationNotFound, ConversationArchived, MutedInConversation),
    idempotent=False,
    on_socket=True,
)
class SayTyping(Request[None], frozen=True):
    """Tell those who follow a conversation that the caller is typing, or is not any more. Told once a second at the most."""

    conversation_id: UUID
    on: bool = True


@operation(http="POST /presence", scope="messaging:write", idempotent=False, on_socket=True)
class SayPresence(Request[Presence], frozen=True):
    """Tell those who share a conversation with the caller how it is about. It holds for a minute, so it is told again before that."""

    state: PresenceState = "online"
    doing: Doing = ""


@operation(
    http="GET /conversations/{conversation_id}/presence",
    scope="messaging:read",
    problems=(ConversationNotFound,),
)
class ListPresence(Request[Page[Presence]], frozen=True):
    """List who of those in a conversation is about, on one page."""

    conversation_id: UUID


@operation(http="GET /presence", scope="messaging:read")
class WatchPresence(Request[PresenceSnapshot], frozen=True):
    """Read who of those in the caller's latest conversations is about: the authorised start of following that."""


@operation(http="GET /participations", scope="messaging:read")
class WatchParticipations(Request[ParticipationsSnapshot], frozen=True):
    """Read which conversations the caller takes part in or is invited to, the 1,000 latest: the authorised start of following that."""


@operation(scope=INTERNAL, callers=("gateway",))
class CheckWatches(Request[WatchedStates], frozen=True):
    """Tell a gateway how far the conversations are that its clients follow, and who of them may follow no more."""

    watched: Annotated[tuple[Watched, ...], Meta(max_length=1000)]
