"""Links to asks: one person answers one ask once, without a session."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from polis.proto.contract import (
    PUBLIC,
    Event,
    Problem,
    Request,
    Time,
    event,
    operation,
    problem,
)
from polis.proto.identity import Token
from polis.proto.runtime.asks import (
    AlreadyVoted,
    AnswerInvalid,
    Ask,
    AskEnded,
    AskNotFound,
    AskSheet,
    Decision,
    NotAddressed,
    Note,
)
from polis.proto.runtime.words import ANSWERS


class AskLink(Struct, frozen=True):
    """A link by which one person answers one ask once, without a session. Its token is shown this once."""

    ask_id: UUID
    principal_id: UUID
    path: str
    expires_at: Time


@problem(status=404)
class AskLinkRefused(Problem, frozen=True):
    """The link is not valid, has expired, or was used."""


@problem(status=409)
class TooManyAskLinks(Problem, frozen=True):
    """The caller has as many links to this ask as one may have at a time."""

    most: int


@event(entity="ask_id", listeners=("identity",))
class AskLinkMade(Event, frozen=True):
    """Somebody may answer an ask by a link."""

    ask_id: UUID
    principal_id: UUID
    expires_at: Time
    at: Time


@operation(
    http="POST /asks/{ask_id}/links",
    scope=ANSWERS,
    problems=(AskNotFound, NotAddressed, AskEnded, TooManyAskLinks),
    idempotent=False,
)
class CreateAskLink(Request[AskLink], frozen=True):
    """Make a link by which the caller answers an ask once, without a session."""

    ask_id: UUID
    ttl_s: Annotated[int, Meta(ge=60, le=604_800, description="Seconds for which it holds.")] = 86_400


@operation(http="POST /ask-links/show", scope=PUBLIC, problems=(AskLinkRefused,), idempotent=False)
class ShowAskLink(Request[AskSheet], frozen=True):
    """Read what is asked by a link; that does not use it up."""

    token: Token


@operation(
    http="POST /ask-links/answer",
    scope=PUBLIC,
    problems=(AskLinkRefused, NotAddressed, AskEnded, AlreadyVoted, AnswerInvalid),
    idempotent=False,
)
class AnswerAskLink(Request[Ask], frozen=True):
    """Answer an ask by a link, which it uses up."""

    token: Token
    decision: Decision = "submit"
    value: object = None
    note: Note = ""
