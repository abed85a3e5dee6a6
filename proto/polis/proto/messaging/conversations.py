"""Conversations: what they are, how they are begun, found and changed."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from polis.proto.contract import Cursor, Limit, Page, Problem, Request, Time, operation, problem
from polis.proto.identity import DataClass
from polis.proto.messaging.words import (
    ConversationKind,
    ConversationVisibility,
    Days,
    MadeKind,
    NewTitle,
    ParticipantRole,
    Title,
)


class Conversation(Struct, frozen=True):
    """A conversation. `head_seq`: its last entry; `kept_from`: the first that is still kept; `with_ids`: the two of a direct one.

    responsible_id: who answers for it, always exactly one: of two the agent, of others who owns it, until it is routed or claimed.
    """

    id: UUID
    org_id: UUID
    kind: ConversationKind
    name: Title
    topic: Title
    visibility: ConversationVisibility
    data_class: DataClass
    created_by: UUID
    created_at: Time
    head_seq: int
    last_at: Time
    responsible_id: UUID
    kept_from: int = 1
    retention_days: Days | None = None
    archived_at: Time | None = None
    with_ids: tuple[UUID, ...] = ()


class MyConversation(Struct, frozen=True):
    """A conversation that somebody takes part in: as what, how far they have read, and how many messages lie behind that.

    unread: of others, counted up to 100. invited: whether they have yet to come in.
    """

    conversation: Conversation
    role: ParticipantRole
    read_seq: int
    unread: int
    invited: bool = False


@problem(status=404)
class ConversationNotFound(Problem, frozen=True):
    """No conversation that the caller may see has this id."""

    conversation_id: UUID


@problem(status=404)
class RecipientUnknown(Problem, frozen=True):
    """Nobody in the org who may take part in conversations has this id."""

    principal_id: UUID


@problem(status=409)
class DirectConversation(Problem, frozen=True):
    """A conversation of two has these two in it, always."""

    conversation_id: UUID


@problem(status=409)
class ConversationArchived(Problem, frozen=True):
    """The conversation is archived: it can be read, and nothing is said in it."""

    conversation_id: UUID


@problem(status=409)
class ConversationFull(Problem, frozen=True):
    """There is as much of this in the conversation as there may be."""

    what: str
    most: int


Others = Annotated[
    tuple[UUID, ...],
    Meta(max_length=100, description="Who takes part from the beginning, besides the caller."),
]


@operation(http="POST /conversations", scope="messaging:write", problems=(RecipientUnknown, ConversationFull))
class CreateConversation(Request[Conversation], frozen=True):
    """Begin a group, a channel or a conversation of agents; the caller owns it. Only agents take part in one of agents, and who began it.

    visibility: of a channel `org` if nothing is said, of others always `private`.
    """

    kind: MadeKind
    name: NewTitle = ""
    topic: NewTitle = ""
    visibility: ConversationVisibility | None = None
    data_class: DataClass = "internal"
    participants: Others = ()


@operation(http="POST /conversations/direct", scope="messaging:write", problems=(RecipientUnknown,))
class OpenDirect(Request[Conversation], frozen=True):
    """Read the conversation of the caller and somebody else; it is begun when there is none: there is one for each pair."""

    principal_id: UUID


@operation(http="GET /conversations", scope="messaging:read")
class ListConversations(Request[Page[MyConversation]], frozen=True):
    """List the conversations that the caller takes part in or is invited to, those where something happened last first."""

    kind: ConversationKind | None = None
    archived: bool = False
    after: Cursor | None = None
    limit: Limit = 50


@operation(http="GET /channels", scope="messaging:read")
class ListChannels(Request[Page[Conversation]], frozen=True):
    """List the channels that are open to the org, by name; `name`: how it begins."""

    name: Title = ""
    after: Cursor | None = None
    limit: Limit = 50


@operation(
    http="GET /conversations/{conversation_id}", scope="messaging:read", problems=(ConversationNotFound,)
)
class GetConversation(Request[Conversation], frozen=True):
    """Read one conversation."""

    conversation_id: UUID


@operation(
    http="PATCH /conversations/{conversation_id}",
    scope="messaging:write",
    problems=(ConversationNotFound, DirectConversation),
)
class ChangeConversation(Request[Conversation], frozen=True):
    """Rename a conversation, say what it is about, who sees it, how sensitive it is and how long it is kept; archive it or open it again.

    For its owners and admins. Of two, either may say how sensitive it is and how long it is kept, and nothing else.
    """

    conversation_id: UUID
    name: NewTitle | None = None
    topic: NewTitle | None = None
    visibility: ConversationVisibility | None = None
    data_class: DataClass | None = None
    retention_days: Days | None = None
    archived: bool | None = None
