"""Who takes part in a conversation, as what, and how that begins and ends."""

from __future__ import annotations

from uuid import UUID

from msgspec import Struct

from polis.proto.contract import Cursor, Limit, Page, Problem, Request, Time, operation, problem
from polis.proto.identity import PrincipalKind
from polis.proto.messaging.conversations import (
    Conversation,
    ConversationFull,
    ConversationNotFound,
    DirectConversation,
    RecipientUnknown,
)
from polis.proto.messaging.words import ParticipantRole, ParticipantState


class Participant(Struct, frozen=True):
    """Somebody in a conversation. `muted_until`: until when it may say nothing; `by_id`: who brought it here last."""

    principal_id: UUID
    kind: PrincipalKind
    role: ParticipantRole
    state: ParticipantState
    since: Time
    by_id: UUID
    muted_until: Time | None = None


@problem(status=404)
class ParticipantNotFound(Problem, frozen=True):
    """Nobody of this id takes part in the conversation."""

    principal_id: UUID


@problem(status=409)
class BannedFromConversation(Problem, frozen=True):
    """Who is banned takes part no more until the ban is lifted."""

    principal_id: UUID


@operation(
    http="GET /conversations/{conversation_id}/participants",
    scope="messaging:read",
    problems=(ConversationNotFound,),
)
class ListParticipants(Request[Page[Participant]], frozen=True):
    """List who takes part in a conversation or is invited to, by id; those who manage it see who is banned too."""

    conversation_id: UUID
    after: Cursor | None = None
    limit: Limit = 100


@operation(
    http="POST /conversations/{conversation_id}/participants",
    scope="messaging:write",
    problems=(
        ConversationNotFound,
        DirectConversation,
        RecipientUnknown,
        ConversationFull,
        BannedFromConversation,
    ),
)
class AddParticipant(Request[Participant], frozen=True):
    """Add somebody of the org to a conversation, or invite them to come in by themselves: for its owners and admins.

    Who takes part in a channel may add members to it.
    """

    conversation_id: UUID
    principal_id: UUID
    role: ParticipantRole = "member"
    invite: bool = False


@operation(
    http="PATCH /conversations/{conversation_id}/participants/{principal_id}",
    scope="messaging:write",
    problems=(ConversationNotFound, DirectConversation, ParticipantNotFound),
)
class ChangeParticipant(Request[Participant], frozen=True):
    """Give somebody another role, or let them say nothing for a while; a moment that has passed lets them speak again.

    For owners and admins; of owners and admins for owners alone.
    """

    conversation_id: UUID
    principal_id: UUID
    role: ParticipantRole | None = None
    muted_until: Time | None = None


@operation(
    http="DELETE /conversations/{conversation_id}/participants/{principal_id}",
    scope="messaging:write",
    problems=(ConversationNotFound, DirectConversation, ParticipantNotFound),
)
class RemoveParticipant(Request[None], frozen=True):
    """Remove somebody from a conversation, or take an invitation or a ban back: what they watch of it ends at once."""

    conversation_id: UUID
    principal_id: UUID


@operation(
    http="POST /conversations/{conversation_id}/participants/{principal_id}/ban",
    scope="messaging:write",
    problems=(ConversationNotFound, DirectConversation, ParticipantNotFound),
)
class BanParticipant(Request[Participant], frozen=True):
    """Remove somebody and let nobody bring them back until they are removed from the banned."""

    conversation_id: UUID
    principal_id: UUID


@operation(
    http="POST /conversations/{conversation_id}/join",
    scope="messaging:read",
    problems=(ConversationNotFound, DirectConversation, ConversationFull, BannedFromConversation),
)
class JoinConversation(Request[Conversation], frozen=True):
    """Take part in a channel of the org, in what one was invited to, or what a grant of `messaging:write` opens.

    Who may only read does so in person, and looks on in a channel.
    """

    conversation_id: UUID


@operation(
    http="POST /conversations/{conversation_id}/leave",
    scope="messaging:read",
    problems=(ConversationNotFound, DirectConversation),
)
class LeaveConversation(Request[None], frozen=True):
    """Take part no more, or decline an invitation. When its last owner leaves, who came first of its admins, or of its members, owns it.

    Who may only read does so in person.
    """

    conversation_id: UUID
