"""Asks: what a run needs of people, who may give it, and the answers. My open asks are my inbox."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from polis.proto.catalog import ResourceKey
from polis.proto.contract import (
    INTERNAL,
    Cursor,
    Event,
    Limit,
    Page,
    Problem,
    Request,
    Time,
    event,
    operation,
    problem,
)
from polis.proto.graph import JsonSchema
from polis.proto.problems import Fault
from polis.proto.runtime.approvals import Always, TooManyApprovals
from polis.proto.runtime.words import ANSWERS, Addressee, Addressees

AskKind = Annotated[
    Literal["approval", "input", "choice", "vote", "handoff"],
    Meta(
        description="What is needed: a yes, values of a form, one of some choices, votes, or somebody who takes over."
    ),
]
AskState = Annotated[
    Literal["open", "answered", "expired", "withdrawn"],
    Meta(description="Expired: nobody answered in time. Withdrawn: its run has ended."),
]
AskTitle = Annotated[str, Meta(max_length=200, examples=["Send 3 mails to customers?"])]
Decision = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$(?!\n)",
        description=(
            "`approve`, `always` or `deny` of an approval, `submit` of an input, the key of a choice, "
            "`done` or `decline` of a handoff."
        ),
        examples=["approve"],
    ),
]
Note = Annotated[str, Meta(max_length=2000, description="Why, in words.", examples=["Fine with me."])]
AnsweredBy = Annotated[
    Literal["api", "link", "message", "standing", "default", "votes"],
    Meta(
        description=(
            "How: in a session or with a key, by a link, by a message in a conversation, by a standing approval, by nobody in "
            "time, by votes."
        )
    ),
]

AskMail = Annotated[
    Literal["none", "notice", "link"],
    Meta(
        description="What those who are addressed by name or role are mailed: nothing, that they are asked, or with a link to answer by."
    ),
]


class Choice(Struct, frozen=True):
    """One of those that there are to choose from."""

    key: Decision
    title: AskTitle = ""


class AskAnswer(Struct, frozen=True):
    """What was answered, by whom and when. `value`: the values of a form, or the arguments as they were edited."""

    decision: Decision
    at: Time
    via: AnsweredBy
    by: UUID | None = None
    value: object = None
    note: Note = ""


class Ask(Struct, frozen=True):
    """What a run needs of somebody, as a line of an inbox. `subject`: what an approval is about, for standing ones."""

    id: UUID
    org_id: UUID
    run_id: UUID
    graph: ResourceKey
    node: str
    item: str
    kind: AskKind
    state: AskState
    title: AskTitle
    verb: str
    subject: str
    to: Addressees
    no_self: bool
    opened_at: Time
    due_at: Time | None = None
    ended_at: Time | None = None


class AskSheet(Struct, frozen=True):
    """An ask with all that is needed to answer it, and its answer once it has one.

    value: the arguments that an approval is about, or what else it is about. form: the JSON Schema that values, or edited
    arguments, have to fit. votes: how many there are for each choice so far; quorum: how many decide.
    """

    ask: Ask
    text: str
    value: object
    decisions: tuple[Decision, ...]
    choices: tuple[Choice, ...] = ()
    form: JsonSchema | None = None
    editable: bool = False
    default: Decision | None = None
    quorum: int = 1
    votes: dict[str, int] = {}
    mine: Decision | None = None
    answer: AskAnswer | None = None


class InboxSnapshot(Struct, frozen=True):
    """Whoever follows `asks` begins with this: what they may answer now, the newest first. `more`: and there are others."""

    seq: int
    asks: tuple[Ask, ...]
    more: bool = False


class InboxChange(Struct, frozen=True):
    """One change of an inbox, numbered from the snapshot on: an ask as it is now, or the id of one that has left it."""

    seq: int
    ask: Ask | None = None
    left: UUID | None = None


class AskNotice(Struct, frozen=True):
    """What somebody is mailed of an ask. `path`: where it is answered."""

    title: AskTitle
    path: str


@problem(status=404)
class AskNotFound(Problem, frozen=True):
    """The caller is asked nothing under this id."""

    ask_id: UUID


@problem(status=403)
class NotAddressed(Problem, frozen=True):
    """The ask is addressed to others, or not to be answered by whom its run is of."""

    ask_id: UUID


@problem(status=409)
class AskEnded(Problem, frozen=True):
    """The ask has an answer, or needs none any more."""

    state: AskState


@problem(status=409)
class AlreadyVoted(Problem, frozen=True):
    """The caller has voted otherwise."""

    decision: str


@problem(status=422)
class AnswerInvalid(Problem, frozen=True):
    """The answer does not fit what is asked; every fault is listed."""

    faults: tuple[Fault, ...]


@problem(status=422)
class AddresseeRefused(Problem, frozen=True):
    """Whom the ask would be handed to cannot answer it."""

    to: Addressee


@event(entity="ask_id", listeners=("identity", "messaging"))
class AskOpened(Event, frozen=True):
    """A run waits for an answer. `to`: who may give it; `conversation_id`: where it is asked, besides the inbox."""

    ask_id: UUID
    run_id: UUID
    kind: AskKind
    to: Addressees
    due_at: Time | None = None
    mail: AskMail = "none"
    conversation_id: UUID | None = None


@event(entity="ask_id", listeners=("identity", "messaging"))
class AskAnswered(Event, frozen=True):
    """An ask has its answer. What else was answered stands in the run. `acting`: `key:<id>`, where somebody used one."""

    ask_id: UUID
    run_id: UUID
    kind: AskKind
    decision: Decision
    via: AnsweredBy
    at: Time
    by: UUID | None = None
    acting: str = ""


@event(entity="ask_id", listeners=("identity",))
class AskVoted(Event, frozen=True):
    """Somebody has voted on an ask."""

    ask_id: UUID
    run_id: UUID
    decision: Decision
    by: UUID
    at: Time
    acting: str = ""


@event(entity="ask_id")
class AskExpired(Event, frozen=True):
    """Nobody answered an ask in time, and it had no answer for that."""

    ask_id: UUID
    run_id: UUID


@event(entity="ask_id")
class AskWithdrawn(Event, frozen=True):
    """The run of an ask has ended: there is nothing to answer any more."""

    ask_id: UUID
    run_id: UUID


@event(entity="ask_id", listeners=("identity",))
class AskDelegated(Event, frozen=True):
    """Somebody handed an ask on."""

    ask_id: UUID
    run_id: UUID
    by: UUID
    to: Addressee
    at: Time
    mail: AskMail = "none"


@event(entity="ask_id", listeners=("identity",))
class AskEscalated(Event, frozen=True):
    """An ask that nobody has answered is addressed to further ones."""

    ask_id: UUID
    run_id: UUID
    to: Addressees
    mail: AskMail = "none"


@event(entity="ask_id", listeners=("identity",))
class AskReminded(Event, frozen=True):
    """Those whom an ask is addressed to are to be reminded of it, for the first or the `nth` time."""

    ask_id: UUID
    run_id: UUID
    to: Addressees
    nth: int = 1
    mail: AskMail = "none"


@operation(http="GET /asks", scope=ANSWERS)
class ListAsks(Request[Page[Ask]], frozen=True):
    """List the asks that the caller may answer, or might have, the newest first."""

    state: AskState = "open"
    kind: AskKind | None = None
    run_id: UUID | None = None
    after: Cursor | None = None
    limit: Limit = 50


@operation(http="GET /asks/{ask_id}", scope=ANSWERS, problems=(AskNotFound,))
class GetAsk(Request[AskSheet], frozen=True):
    """Read what is asked, of whoever may answer it."""

    ask_id: UUID


@operation(
    http="POST /asks/{ask_id}/answer",
    scope=ANSWERS,
    problems=(AskNotFound, NotAddressed, AskEnded, AlreadyVoted, AnswerInvalid, TooManyApprovals),
    on_socket=True,
)
class AnswerAsk(Request[Ask], frozen=True):
    """Answer an ask: its run goes on with that, or, for a vote, when enough have voted.

    The same answer of the same caller may be given again; another one comes too late.
    """

    ask_id: UUID
    decision: Decision = "submit"
    value: object = None
    note: Note = ""
    always: Always | None = None


@operation(
    http="POST /asks/{ask_id}/delegate",
    scope=ANSWERS,
    problems=(AskNotFound, NotAddressed, AskEnded, AddresseeRefused),
)
class DelegateAsk(Request[Ask], frozen=True):
    """Hand an ask on: who is addressed by name is replaced; to those of a role or a grant another one is added."""

    ask_id: UUID
    to: Addressee


@operation(scope=INTERNAL, callers=("identity",), problems=(AskNotFound, NotAddressed, AskEnded))
class DescribeAsk(Request[AskNotice], frozen=True):
    """Tell whoever mails it to somebody what an open ask is, with a link to answer by if there is to be one."""

    org_id: UUID
    ask_id: UUID
    principal_id: UUID
    link: bool
