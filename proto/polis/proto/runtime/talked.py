"""Asks that are put into a conversation, and answered there by a message."""

from __future__ import annotations

from uuid import UUID

from msgspec import Struct

from polis.proto.contract import INTERNAL, Request, operation
from polis.proto.graph import JsonSchema
from polis.proto.runtime.asks import (
    AlreadyVoted,
    AnswerInvalid,
    Ask,
    AskEnded,
    AskKind,
    AskNotFound,
    AskState,
    AskTitle,
    Choice,
    Decision,
    NotAddressed,
    Note,
)
from polis.proto.runtime.words import ANSWERS


class AskInTalk(Struct, frozen=True):
    """What is asked, as a message says it. actor_id: whom the run acts as, who asks; started_by: for whom.

    decisions: all but those that are taken in person. mine: whether whoever was named may answer.
    """

    kind: AskKind
    state: AskState
    title: AskTitle
    text: str
    actor_id: UUID
    started_by: UUID
    decisions: tuple[Decision, ...]
    choices: tuple[Choice, ...] = ()
    form: JsonSchema | None = None
    mine: bool = False


@operation(scope=INTERNAL, callers=("messaging",), problems=(AskNotFound,))
class DescribeAskInTalk(Request[AskInTalk], frozen=True):
    """Tell messaging what is asked in a conversation, and whether somebody may answer it."""

    org_id: UUID
    ask_id: UUID
    principal_id: UUID | None = None


@operation(
    scope=ANSWERS,
    callers=("messaging",),
    problems=(AskNotFound, NotAddressed, AskEnded, AlreadyVoted, AnswerInvalid),
)
class AnswerAskInTalk(Request[Ask], frozen=True):
    """Answer an ask by what its caller has said in a conversation, as AnswerAsk does; not what is decided in person alone.

    Nobody's deputy answers so: no step of a run, whatever scopes it has.
    """

    ask_id: UUID
    decision: Decision
    value: object = None
    note: Note = ""
