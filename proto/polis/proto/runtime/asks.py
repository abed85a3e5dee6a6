"""Asks: what a run needs of people, who may give it, and the answers. My open asks are my inbox."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from polis.proto.catalog import ResourceKey
from polis.proto.contract import (
    INTERNAL,
    PUBLIC,
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
from polis.proto.identity import ResourceName, Role, Token
from polis.proto.problems import Fault

ANSWERS = "runtime:answer"
"""The scope of whoever answers, and the verb of the grants that asks are addressed by."""
MAX_ADDRESSEES = 20
MAX_CHOICES = 20

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
SubjectPattern = Annotated[
    str,
    Meta(
        max_length=200,
        pattern=r"^[^\x00]*$",
        description="`*` stands for any characters of one part, `**` at the end for all further parts.",
        examples=["mail/*@example.org"],
    ),
]
AnsweredBy = Annotated[
    Literal["api", "link", "standing", "default", "votes"],
    Meta(
        description="How: in a session or with a key, by a link, by a standing approval, by nobody in time, by votes."
    ),
]

AskMail = Annotated[
    Literal["none", "notice", "link"],
    Meta(
        description="What those who are addressed by name or role are mailed: nothing, that they are asked, or with a link to answer by."
    ),
]


class Addressee(Struct, frozen=True):
    """Who may answer: a principal by `id`, all with a `role`, or whoever holds a grant of `runtime:answer` on a `resource`."""

    kind: Literal["principal", "role", "grant"]
    id: UUID | None = None
    role: Role | None = None
    resource: ResourceName | None = None


Addressees = Annotated[tuple[Addressee, ...], Meta(max_length=MAX_ADDRESSEES)]


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


class AskLink(Struct, frozen=True):
    """A link by which one person answers one ask once, without a session. Its token is shown this once."""

    ask_id: UUID
    principal_id: UUID
    path: str
    expires_at: Time


class AskNotice(Struct, frozen=True):
    """What somebody is mailed of an ask. `path`: where it is answered."""

    title: AskTitle
    path: str


class Always(Struct, frozen=True):
    """For what an approval stands from now on: this graph, or the agent that the run acts as; without a subject, for this one."""

    of: Literal["graph", "agent"] = "graph"
    subject: SubjectPattern | None = None


class StandingApproval(Struct, frozen=True):
    """An approval that was given for always: asks of this graph or agent, verb and subject are approved as they open.

    It counts where the ask is addressed to `to`, by which its giver answered, and until the giver's place in the org changes.
    """

    id: UUID
    org_id: UUID
    verb: str
    subject: SubjectPattern
    to: Addressee
    given_by: UUID
    given_at: Time
    graph: ResourceKey | None = None
    agent_id: UUID | None = None
    expires_at: Time | None = None


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


@problem(status=404)
class AskLinkRefused(Problem, frozen=True):
    """The link is not valid, has expired, or was used."""


@problem(status=409)
class TooManyAskLinks(Problem, frozen=True):
    """The caller has as many links to this ask as one may have at a time."""

    most: int


@problem(status=409)
class TooManyApprovals(Problem, frozen=True):
    """The org has as many standing approvals as it may have."""

    most: int


@problem(status=404)
class ApprovalNotFound(Problem, frozen=True):
    """The caller has no standing approval of this id."""

    approval_id: UUID


@event(entity="ask_id", listeners=("identity",))
class AskOpened(Event, frozen=True):
    """A run waits for an answer. `to`: who may give it."""

    ask_id: UUID
    run_id: UUID
    kind: AskKind
    to: Addressees
    due_at: Time | None = None
    mail: AskMail = "none"


@event(entity="ask_id", listeners=("identity",))
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


@event(entity="ask_id", listeners=("identity",))
class AskLinkMade(Event, frozen=True):
    """Somebody may answer an ask by a link."""

    ask_id: UUID
    principal_id: UUID
    expires_at: Time
    at: Time


@event(entity="approval_id", listeners=("identity",))
class ApprovalGiven(Event, frozen=True):
    """An approval stands from now on."""

    approval_id: UUID
    approval: StandingApproval


@event(entity="approval_id", listeners=("identity",))
class ApprovalRevoked(Event, frozen=True):
    """An approval stands no longer. `by`: nobody, where its giver's place in the org has changed."""

    approval_id: UUID
    at: Time
    by: UUID | None = None


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


@operation(scope=INTERNAL, callers=("identity",), problems=(AskNotFound, NotAddressed, AskEnded))
class DescribeAsk(Request[AskNotice], frozen=True):
    """Tell whoever mails it to somebody what an open ask is, with a link to answer by if there is to be one."""

    org_id: UUID
    ask_id: UUID
    principal_id: UUID
    link: bool


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


@operation(http="GET /approvals", scope=ANSWERS)
class ListApprovals(Request[Page[StandingApproval]], frozen=True):
    """List the caller's standing approvals, the newest first; everybody's for who manages access."""

    after: Cursor | None = None
    limit: Limit = 50


@operation(http="DELETE /approvals/{approval_id}", scope=ANSWERS, problems=(ApprovalNotFound,))
class RevokeApproval(Request[None], frozen=True):
    """Let a standing approval stand no longer: the caller's, or anybody's for who manages access."""

    approval_id: UUID
