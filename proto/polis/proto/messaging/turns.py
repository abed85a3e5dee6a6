"""Whose turn it is to answer a message where there are several agents: claimed, deferred, decided once."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from polis.proto.contract import Problem, Request, Time, operation, problem
from polis.proto.messaging.conversations import ConversationArchived, ConversationFull, ConversationNotFound
from polis.proto.messaging.messages import (
    AgentTalkBound,
    MessageDeleted,
    MessageNotFound,
    MutedInConversation,
    NotYourTurn,
)
from polis.proto.messaging.words import Seq

Confidence = Annotated[
    float,
    Meta(ge=0, le=1, description="How well the caller would answer, by its own account.", examples=[0.8]),
]
Justification = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=500,
        pattern=r"^[^\x00]*$",
        description="Why the caller would answer, or leaves it to others.",
        examples=["It is about mail, which I read."],
    ),
]
AnswerTurnState = Annotated[
    Literal["open", "held", "answered", "lapsed"],
    Meta(
        description="Open: claims are taken. Held: one is to answer. Lapsed: nobody would, or did.",
        examples=["held"],
    ),
]


class TurnClaim(Struct, frozen=True):
    """What an agent said of a message: that it would answer, or defers. expired: it was to answer and did not."""

    principal_id: UUID
    claims: bool
    confidence: Confidence
    justification: Justification
    at: Time
    expired: bool = False


class AnswerTurn(Struct, frozen=True):
    """Who answers a message: of those who claimed it the most confident; of equals who is responsible, then the lowest id.

    due_at: when an open one is decided, or a held one goes to the next. answer_seq: the answer, once it stands there.
    """

    conversation_id: UUID
    message_seq: int
    state: AnswerTurnState
    opened_at: Time
    claims: tuple[TurnClaim, ...] = ()
    due_at: Time | None = None
    holder_id: UUID | None = None
    answer_seq: int | None = None


@problem(status=404)
class TurnNotFound(Problem, frozen=True):
    """No agent has claimed or deferred this message."""

    message_seq: int


_PROBLEMS = (
    ConversationNotFound,
    ConversationArchived,
    ConversationFull,
    MessageNotFound,
    MessageDeleted,
    MutedInConversation,
    NotYourTurn,
    AgentTalkBound,
)


@operation(
    http="POST /conversations/{conversation_id}/messages/{seq}/turn/claim",
    scope="messaging:write",
    problems=_PROBLEMS,
    idempotent=False,
)
class ClaimTurn(Request[AnswerTurn], frozen=True):
    """Claim to answer a message, as an agent: the answer comes when it is decided who does, within the window that the first claim opened.

    Until the one who may answer has, or its time is over, no other agent says anything in the conversation.
    """

    conversation_id: UUID
    seq: Seq
    justification: Justification
    confidence: Confidence = 0.5


@operation(
    http="POST /conversations/{conversation_id}/messages/{seq}/turn/defer",
    scope="messaging:write",
    problems=_PROBLEMS,
    idempotent=False,
)
class DeferTurn(Request[AnswerTurn], frozen=True):
    """Leave a message to others, as an agent, and say why. When all agents have said something, it is decided at once."""

    conversation_id: UUID
    seq: Seq
    justification: Justification


@operation(
    http="GET /conversations/{conversation_id}/messages/{seq}/turn",
    scope="messaging:read",
    problems=(ConversationNotFound, TurnNotFound),
)
class GetTurn(Request[AnswerTurn], frozen=True):
    """Read who claimed to answer a message, who deferred and why, and who answers."""

    conversation_id: UUID
    seq: Seq
