"""What is kept of conversations, and taking it along."""

from __future__ import annotations

from uuid import UUID

from polis.proto.contract import Request, Stream, operation
from polis.proto.messaging.conversations import ConversationNotFound
from polis.proto.messaging.live import Entry


@operation(
    http="GET /conversations/{conversation_id}/export",
    scope="messaging:read",
    problems=(ConversationNotFound,),
)
class ExportConversation(Request[Stream[Entry]], frozen=True):
    """Read all that is kept of a conversation, one entry after another: for its owners and admins, and for either of two."""

    conversation_id: UUID
