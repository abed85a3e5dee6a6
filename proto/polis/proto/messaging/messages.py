"""Messages: what is said, and what becomes of it."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from polis.proto.contract import INTERNAL, Cursor, Limit, Page, Problem, Request, Time, operation, problem
from polis.proto.identity import OverQuota
from polis.proto.messaging.conversations import ConversationArchived, ConversationFull, ConversationNotFound
from polis.proto.messaging.words import MAX_MENTIONS, MAX_PARTS, Alias, ClientId, Emoji, Seq, Text, Title

Attributes = Annotated[
    dict[str, object],
    Meta(
        description="What else is known of a message, by name: 16 at the most, 2 KiB in all.",
        examples=[{"mood_at_time": "calm"}],
    ),
]
Content = Annotated[
    dict[str, object],
    Meta(
        description="Of a card what it shows, of a form its JSON Schema: 16 KiB at the most.",
        examples=[{"title": "Flight to Oslo", "lines": ["07:40, gate 12"]}],
    ),
]
Mentioned = Annotated[
    tuple[Alias, ...],
    Meta(
        max_length=MAX_MENTIONS,
        description="Who is addressed, besides those whom the text names by `@alias`.",
    ),
]


class MessagePart(Struct, frozen=True):
    """A structured part of a message: a card or form with its content, or audio or another file, which is an artifact.

    An ask is put there by a run, with `ask_id`, `kind` and `decisions` as its content; a reply to the message answers it: with
    one of the decisions as its text, or by a form whose content has `decision`, `value` and `note`.

    name, media_type, size: of the file, as they are known of the artifact; what a sender says of them is passed over.
    """

    kind: Literal["card", "form", "audio", "file", "ask"]
    title: Title = ""
    content: Content | None = None
    artifact_id: UUID | None = None
    name: Annotated[str, Meta(max_length=255)] = ""
    media_type: Annotated[str, Meta(max_length=127)] = ""
    size: Annotated[int, Meta(ge=0, le=2**40)] = 0


Parts = Annotated[tuple[MessagePart, ...], Meta(max_length=MAX_PARTS)]


class Reaction(Struct, frozen=True):
    """Who has answered a message with this sign, the first one first."""

    emoji: Emoji
    principal_ids: tuple[UUID, ...]


class Streamed(Struct, frozen=True):
    """How a message came about that was shown while it was said: its stream, how that ended, after how many characters, and why."""

    id: UUID
    state: Annotated[Literal["complete", "partial", "preempted", "cancelled"], Meta(examples=["complete"])]
    characters: int
    reason: str = ""
    by: UUID | None = None


class Message(Struct, frozen=True):
    """What somebody said, as it is now. Its number is that of the entry that posted it.

    thread: the message that it was posted below. A deleted one has its number, sender and times, and nothing that was said.
    """

    conversation_id: UUID
    seq: int
    sender_id: UUID
    sent_at: Time
    text: Text = ""
    parts: Parts = ()
    reply_to: Seq | None = None
    thread: Seq | None = None
    mentions: tuple[UUID, ...] = ()
    attributes: Attributes = {}
    client_id: ClientId | None = None
    revision: int = 1
    edited_at: Time | None = None
    deleted_at: Time | None = None
    deleted_by: UUID | None = None
    pinned_at: Time | None = None
    pinned_by: UUID | None = None
    reactions: tuple[Reaction, ...] = ()
    stream: Streamed | None = None


class Posted(Struct, frozen=True):
    """Where a message stands by now. `repeated`: whether it stood there before."""

    conversation_id: UUID
    seq: int
    sent_at: Time
    mentions: tuple[UUID, ...] = ()
    repeated: bool = False


class MessageRevision(Struct, frozen=True):
    """What a message said before it was edited."""

    revision: int
    text: Text
    parts: Parts
    until: Time


@problem(status=404)
class MessageNotFound(Problem, frozen=True):
    """The conversation has no message of this number, or keeps it no more."""

    seq: int


@problem(status=409)
class MessageDeleted(Problem, frozen=True):
    """The message was deleted; nothing can be done with it."""

    seq: int


@problem(status=422)
class AttachmentRefused(Problem, frozen=True):
    """A file cannot be sent: it is not there, too large, or of a type that is not taken."""

    artifact_id: UUID
    reason: str


@problem(status=409)
class MutedInConversation(Problem, frozen=True):
    """The caller may say nothing in this conversation for a while."""

    until: Time


@problem(status=409)
class NotYourTurn(Problem, frozen=True):
    """Another agent answers this message, or who does is not decided yet. `until`: when that is over at the latest; none: it is answered."""

    message_seq: int
    holder_id: UUID | None = None
    until: Time | None = None


@problem(status=409)
class AgentTalkBound(Problem, frozen=True):
    """Agents have talked for so long with each other, in `turns` or `characters`, that a person has to say something first."""

    what: Literal["turns", "characters"]
    most: int


@operation(
    http="POST /conversations/{conversation_id}/messages",
    scope="messaging:write",
    problems=(
        ConversationNotFound,
        ConversationArchived,
        MessageNotFound,
        AttachmentRefused,
        MutedInConversation,
        NotYourTurn,
        AgentTalkBound,
        OverQuota,
    ),
    on_socket=True,
)
class PostMessage(Request[Posted], frozen=True):
    """Say something in a conversation that the caller takes part in. With `client_id` a repeat answers what the first did."""

    conversation_id: UUID
    text: Text = ""
    parts: Parts = ()
    client_id: ClientId | None = None
    reply_to: Seq | None = None
    thread: Seq | None = None
    mentions: Mentioned = ()
    attributes: Attributes = {}  # noqa: RUF012 - msgspec copies it


@operation(
    http="GET /conversations/{conversation_id}/messages",
    scope="messaging:read",
    problems=(ConversationNotFound,),
)
class ListMessages(Request[Page[Message]], frozen=True):
    """List the messages of a conversation, newest first; or those after a number, oldest first; or those around one, oldest first.

    thread: those below a message, and that one. pinned: those that are pinned. A page may hold fewer than `limit`: its bytes are bounded too.
    """

    conversation_id: UUID
    since: Annotated[int, Meta(ge=0, le=2**53 - 1)] | None = None
    around: Seq | None = None
    thread: Seq | None = None
    pinned: bool = False
    after: Cursor | None = None
    limit: Limit = 50


@operation(
    http="GET /conversations/{conversation_id}/messages/{seq}",
    scope="messaging:read",
    problems=(ConversationNotFound, MessageNotFound),
)
class GetMessage(Request[Message], frozen=True):
    """Read one message."""

    conversation_id: UUID
    seq: Seq


@operation(
    http="GET /conversations/{conversation_id}/messages/{seq}/revisions",
    scope="messaging:read",
    problems=(ConversationNotFound, MessageNotFound),
)
class ListMessageRevisions(Request[Page[MessageRevision]], frozen=True):
    """List what a message said before it was edited, on one page, the oldest first; nothing of one that was deleted."""

    conversation_id: UUID
    seq: Seq


@operation(
    http="PATCH /conversations/{conversation_id}/messages/{seq}",
    scope="messaging:write",
    problems=(
        ConversationNotFound,
        ConversationArchived,
        ConversationFull,
        MessageNotFound,
        MessageDeleted,
        AttachmentRefused,
        MutedInConversation,
    ),
    on_socket=True,
)
class EditMessage(Request[Message], frozen=True):
    """Say otherwise what the caller has said; what it said before is kept. With another text it addresses whom that names, and `mentions`."""

    conversation_id: UUID
    seq: Seq
    text: Text | None = None
    parts: Parts | None = None
    mentions: Mentioned = ()


@operation(
    http="DELETE /conversations/{conversation_id}/messages/{seq}",
    scope="messaging:write",
    problems=(ConversationNotFound, MessageNotFound, MessageDeleted),
    on_socket=True,
)
class DeleteMessage(Request[None], frozen=True):
    """Delete what the caller has said, or, as an owner or admin of the conversation, what anybody has. Its number stays."""

    conversation_id: UUID
    seq: Seq


@operation(
    http="POST /conversations/{conversation_id}/messages/{seq}/reactions",
    scope="messaging:write",
    problems=(
        ConversationNotFound,
        ConversationArchived,
        ConversationFull,
        MessageNotFound,
        MessageDeleted,
        MutedInConversation,
    ),
    on_socket=True,
)
class ReactToMessage(Request[Message], frozen=True):
    """Answer a message with a sign, or take it back."""

    conversation_id: UUID
    seq: Seq
    emoji: Emoji
    on: bool = True


@operation(
    http="PUT /conversations/{conversation_id}/messages/{seq}/pin",
    scope="messaging:write",
    problems=(
        ConversationNotFound,
        ConversationArchived,
        ConversationFull,
        MessageNotFound,
        MessageDeleted,
        MutedInConversation,
    ),
)
class PinMessage(Request[Message], frozen=True):
    """Pin a message for everybody in the conversation, or take the pin off."""

    conversation_id: UUID
    seq: Seq
    pinned: bool = True


class FileShown(Struct, frozen=True):
    """Whether a private file is shown to somebody by a message."""

    shown: bool


@operation(scope=INTERNAL, callers=("catalog",))
class CheckFile(Request[FileShown], frozen=True):
    """Tell whether somebody may read a message by which a private file of this owner was sent, by them or by who got it so."""

    org_id: UUID
    artifact_id: UUID
    owner_id: UUID
    principal_id: UUID
