"""How far somebody has read, and what they have not sent yet."""

from __future__ import annotations

from uuid import UUID

from msgspec import Struct

from polis.proto.contract import Cursor, Limit, Page, Problem, Request, Time, operation, problem
from polis.proto.messaging.conversations import ConversationNotFound
from polis.proto.messaging.words import Position, Seq, Text


class ReadMark(Struct, frozen=True):
    """How far somebody has read in a conversation, and up to where it has reached one of their devices."""

    principal_id: UUID
    read_seq: int
    delivered_seq: int


class MessageDraft(Struct, frozen=True):
    """What somebody is about to say."""

    conversation_id: UUID
    text: Text
    updated_at: Time
    reply_to: Seq | None = None


@problem(status=404)
class MessageDraftNotFound(Problem, frozen=True):
    """The caller has nothing unsent in this conversation."""

    conversation_id: UUID


@operation(
    http="POST /conversations/{conversation_id}/marks",
    scope="messaging:read",
    problems=(ConversationNotFound,),
    on_socket=True,
)
class MarkConversation(Request[ReadMark], frozen=True):
    """Say how far the caller has read, or what has reached it; it never goes back. What is read was delivered."""

    conversation_id: UUID
    read_seq: Position | None = None
    delivered_seq: Position | None = None


@operation(
    http="GET /conversations/{conversation_id}/marks",
    scope="messaging:read",
    problems=(ConversationNotFound,),
)
class ListMarks(Request[Page[ReadMark]], frozen=True):
    """List how far those who take part have read, by id."""

    conversation_id: UUID
    after: Cursor | None = None
    limit: Limit = 100


@operation(
    http="PUT /conversations/{conversation_id}/draft",
    scope="messaging:write",
    problems=(ConversationNotFound,),
    on_socket=True,
)
class KeepMessageDraft(Request[MessageDraft], frozen=True):
    """Keep what the caller is about to say, for its other devices; it replaces what was kept."""

    conversation_id: UUID
    text: Text
    reply_to: Seq | None = None


@operation(
    http="GET /conversations/{conversation_id}/draft",
    scope="messaging:read",
    problems=(ConversationNotFound, MessageDraftNotFound),
)
class GetMessageDraft(Request[MessageDraft], frozen=True):
    """Read what the caller is about to say."""

    conversation_id: UUID


@operation(
    http="DELETE /conversations/{conversation_id}/draft",
    scope="messaging:write",
    problems=(ConversationNotFound,),
)
class DropMessageDraft(Request[None], frozen=True):
    """Forget what the caller was about to say."""

    conversation_id: UUID
