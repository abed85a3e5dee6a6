"""Finding what was said."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from polis.proto.contract import Cursor, Limit, Page, Request, Time, operation
from polis.proto.messaging.conversations import ConversationNotFound
from polis.proto.messaging.messages import Message

Wanted = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=200,
        pattern=r"^[^\x00]*$",
        description="Words that a message holds, or that its words begin with.",
        examples=["gate oslo"],
    ),
]


class FoundMessage(Struct, frozen=True):
    """A message that was found."""

    message: Message


@operation(http="GET /messages/search", scope="messaging:read", problems=(ConversationNotFound,))
class SearchMessages(Request[Page[FoundMessage]], frozen=True):
    """Find messages by words in the conversations that the caller takes part in, or in one that it may see, newest first.

    What was just said is found within a second or so. A page may hold fewer than `limit`, or nothing, and go on: as long as it has a cursor.
    """

    text: Wanted
    conversation_id: UUID | None = None
    sender_id: UUID | None = None
    since: Time | None = None
    until: Time | None = None
    after: Cursor | None = None
    limit: Limit = 20
