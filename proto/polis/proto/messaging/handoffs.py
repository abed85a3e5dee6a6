"""Who is responsible for a conversation, and how that goes from agents to people and back."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from polis.proto.contract import Cursor, Event, Limit, Page, Problem, Request, Time, event, operation, problem
from polis.proto.messaging.conversations import (
    ConversationArchived,
    ConversationFull,
    ConversationNotFound,
    RecipientUnknown,
)
from polis.proto.messaging.participants import BannedFromConversation
from polis.proto.runtime.words import Addressee

HandoffState = Annotated[
    Literal["waiting", "claimed", "returned", "declined", "expired", "cancelled", "passed"],
    Meta(
        description=(
            "Waiting: for somebody to claim it. Returned: whoever claimed it has given the conversation back. Expired: nobody "
            "claimed it in time. Passed: the conversation went on to somebody else meanwhile."
        ),
        examples=["waiting"],
    ),
]
HandoffReason = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=500,
        pattern=r"^[^\x00]*$",
        description="Why it is handed over, or given back.",
        examples=["A refund needs a person."],
    ),
]
HandoffSummary = Annotated[
    str,
    Meta(
        max_length=8000,
        pattern=r"^[^\x00]*$",
        description="What whoever takes over has to know of the conversation.",
        examples=["Tom was charged twice in May; his bank confirms both."],
    ),
]
ClaimSeconds = Annotated[
    float, Meta(ge=1, le=2_592_000, description="Seconds in which somebody has to claim it.", examples=[3600])
]
HeldSeconds = Annotated[
    float,
    Meta(
        ge=1,
        le=2_592_000,
        description="Seconds after which a claimed conversation goes back by itself.",
        examples=[86_400],
    ),
]


class Handoff(Struct, frozen=True):
    """A conversation on its way from who is responsible for it to somebody else, as it is now.

    from_id: to whom it goes back. by: who began it; claimed_by: who is responsible since then. due_at: when it expires
    that waits, or goes back by itself that was claimed. note: why it ended as it did.
    """

    id: UUID
    org_id: UUID
    conversation_id: UUID
    state: HandoffState
    to: Addressee
    from_id: UUID
    by: UUID
    reason: HandoffReason
    summary: HandoffSummary
    created_at: Time
    due_at: Time | None = None
    held_s: HeldSeconds | None = None
    claimed_by: UUID | None = None
    claimed_at: Time | None = None
    ended_at: Time | None = None
    note: str = ""


@problem(status=404)
class HandoffNotFound(Problem, frozen=True):
    """No handoff that concerns the caller has this id."""

    handoff_id: UUID


@problem(status=409)
class HandoffEnded(Problem, frozen=True):
    """The handoff was claimed by somebody else, or is over."""

    state: HandoffState


@problem(status=409)
class HandoffWaits(Problem, frozen=True):
    """The conversation waits already for somebody to take it over."""

    handoff_id: UUID


@event(entity="conversation_id", listeners=("identity", "messaging"))
class HandoffChanged(Event, frozen=True):
    """A handoff was begun, claimed, given back, or has ended otherwise. `by`: who did so; nobody where it was time."""

    conversation_id: UUID
    seq: int
    handoff_id: UUID
    state: HandoffState
    at: Time
    to: Addressee
    by: UUID | None = None


@event(entity="conversation_id")
class ConversationRouted(Event, frozen=True):
    """Somebody else is responsible for a conversation from now on."""

    conversation_id: UUID
    seq: int
    responsible_id: UUID
    by: UUID


@operation(
    http="POST /conversations/{conversation_id}/handoffs",
    scope="messaging:write",
    problems=(ConversationNotFound, ConversationArchived, RecipientUnknown, HandoffWaits),
)
class HandOff(Request[Handoff], frozen=True):
    """Ask somebody to take a conversation over; until they do, who is responsible stays so. They are asked in their inbox, too.

    For who is responsible, for its owners and admins, and for either of two.
    """

    conversation_id: UUID
    to: Addressee
    reason: HandoffReason
    summary: HandoffSummary = ""
    timeout_s: ClaimSeconds = 86_400
    held_s: HeldSeconds | None = None


@operation(http="GET /handoffs", scope="messaging:read", problems=(ConversationNotFound,))
class ListHandoffs(Request[Page[Handoff]], frozen=True):
    """List the handoffs that wait for somebody like the caller, or those that it has claimed; or all of a conversation. The newest first."""

    state: HandoffState | None = None
    conversation_id: UUID | None = None
    after: Cursor | None = None
    limit: Limit = 50


@operation(http="GET /handoffs/{handoff_id}", scope="messaging:read", problems=(HandoffNotFound,))
class GetHandoff(Request[Handoff], frozen=True):
    """Read one handoff: of a conversation that the caller sees, or one that it may claim."""

    handoff_id: UUID


@operation(
    http="POST /handoffs/{handoff_id}/claim",
    scope="messaging:write",
    problems=(
        HandoffNotFound,
        HandoffEnded,
        ConversationArchived,
        ConversationFull,
        BannedFromConversation,
        RecipientUnknown,
    ),
)
class ClaimHandoff(Request[Handoff], frozen=True):
    """Take a conversation over, as one of those whom it is handed to: the caller comes in and is responsible for it from now on."""

    handoff_id: UUID


@operation(
    http="POST /handoffs/{handoff_id}/return",
    scope="messaging:write",
    problems=(HandoffNotFound, HandoffEnded),
)
class ReturnHandoff(Request[Handoff], frozen=True):
    """Give a claimed conversation back to whom it came from: for whoever claimed it, and for who manages the conversation.

    One that waits is declined so, by the one whom it names.
    """

    handoff_id: UUID
    note: HandoffReason | None = None


@operation(
    http="POST /handoffs/{handoff_id}/cancel",
    scope="messaging:write",
    problems=(HandoffNotFound, HandoffEnded),
)
class CancelHandoff(Request[Handoff], frozen=True):
    """Ask nobody any more to take a conversation over: for who may hand it over."""

    handoff_id: UUID
