"""What an operation, an event and a problem are. One declaration each; everything else is derived from it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, ClassVar, Generic, TypeVar, get_args, get_type_hints
from uuid import UUID

from msgspec import Meta, Struct, to_builtins

if TYPE_CHECKING:
    from collections.abc import Iterable

A = TypeVar("A")
T = TypeVar("T")
C = TypeVar("C", bound=type)
E = TypeVar("E", bound="type[Event]")
P = TypeVar("P", bound="type[Problem]")

PUBLIC = "public"
"""Scope of an operation that anyone may call, signed in or not."""
SIGNED_IN = "signed-in"
"""Scope of an operation that every verified actor may call."""
INTERNAL = "internal"
"""Scope of an operation that only the services named in `callers` may call."""
OAUTH = "/oauth/"
"""Paths of OAuth2 begin so."""

Cursor = Annotated[
    str,
    Meta(
        max_length=512,
        description="Opaque position; pass back what `next_cursor` gave.",
        examples=["gaFrqzE3Mzg"],
    ),
]
Limit = Annotated[int, Meta(ge=1, le=200, description="How many items a page holds at the most.")]
Time = Annotated[datetime, Meta(tz=True)]
"""A moment, with its offset from UTC (RFC 3339); in requests from EARLIEST to LATEST."""
EARLIEST = datetime(1, 1, 2, tzinfo=UTC)
LATEST = datetime(9999, 12, 30, 23, 59, 59, tzinfo=UTC)
"""Within these a moment has a date and a time at every offset."""

FRESH_S = 300
"""How long a proof of who somebody is counts for a sensitive operation."""
_NOT_IN_RUNS = frozenset({"runtime:run", "runtime:answer"})
"""Scopes of what steps of a run may not call: starting runs, and answering for people."""
EVERY_SERVICE = "*"
"""In `callers`: whichever services there are."""


class Request(Struct, Generic[A], frozen=True):
    """A message that asks one service to do one thing and names its answer: `class GetRun(Request[Run])`."""


class Stream(Generic[T]):
    """An answer in many parts: `Request[Stream[bytes]]` is read with `async for part in ctx.stream(...)`."""


class Page(Struct, Generic[T], frozen=True):
    """One page of a list, and where the next one starts (absent on the last)."""

    items: tuple[T, ...]
    next_cursor: Cursor | None = None


class Event(Struct, frozen=True):
    """A fact that others may rely on; it commits with the row that it tells of. Every event names its `org_id`."""

    org_id: UUID


class Problem(Struct, frozen=True):
    """Why a request was refused (RFC 9457). Fields carry the facts; the first docstring line is the title."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "/problems/problem"
    title: ClassVar[str] = ""
    retryable: ClassVar[bool] = False


class Operation(Struct, frozen=True, eq=False):
    """What was declared of a request. `answer` is the A of Request[A], None for Request[None], the part's type of a stream."""

    request: type[Request[object]]
    answer: object
    service: str
    name: str
    scope: str
    verb: str | None
    path: str | None
    problems: tuple[type[Problem], ...]
    callers: tuple[str, ...]
    idempotent: bool
    streams: bool
    raw_body: str | None
    max_body: int
    local: bool
    fresh: bool
    by_person: bool = False
    on_socket: bool = False
    may_be_accepted: bool = False

    @property
    def subject(self) -> str:
        return f"rpc.{self.service}.{self.name}"

    @property
    def mutates(self) -> bool:
        return self.verb not in (None, "GET")

    def callable_by(self, service: str) -> bool:
        """Whether this service may publish the request: the gateway whatever has a route, others what names them.

        The runtime may publish what the steps of a run may call.
        """
        if self.local:
            return False
        return (
            EVERY_SERVICE in self.callers
            or service in self.callers
            or (service == "gateway" and bool(self.path))
            or (service == "runtime" and self.in_runs)
        )

    @property
    def in_runs(self) -> bool:
        """Whether a step of a run may call it (`service.call`): what has a route, a scope and an answer of one part.

        Nothing by which people decide, or say who may do what: whoever starts somebody else's graph would lend it that.
        Nor what starts runs: a run's children have their bounds.
        """
        judges = self.by_person or self.fresh or self.scope in _NOT_IN_RUNS
        reads = not self.scope.startswith("identity:") or self.scope == "identity:read"
        return ":" in self.scope and bool(self.path) and reads and not (self.local or self.streams or judges)

    @property
    def takes_revision(self) -> bool:
        """Whether `If-Match` may say on HTTP which revision a change is made on."""
        return self.mutates and "revision" in self.request.__struct_fields__

    @property
    def takes_environment(self) -> bool:
        """Whether `X-Env` may say on HTTP in which environment it looks."""
        return "environment" in self.request.__struct_fields__ and "{environment}" not in (self.path or "")

    @property
    def of_oauth(self) -> bool:
        """Whether clients of OAuth2 know it: they send forms, and are refused in plain JSON (RFC 6749 5.2), but by HTTP itself."""
        return (self.path or "").startswith(OAUTH)

    @property
    def binary(self) -> bool:
        """Whether bytes travel in it: then the bus carries MessagePack instead of JSON."""
        return self.raw_body is not None or self.answer is bytes


class EventType(Struct, frozen=True, eq=False):
    """What was declared of an event. `entity` is the field whose events keep their order."""

    event: type[Event]
    service: str
    fact: str
    entity: str
    listeners: tuple[str, ...]
    at_once: tuple[str, ...] = ()
    shown: str = ""

    def subject(self, event: Event) -> str:
        return f"event.{self.service}.{self.fact}.{_text(event.org_id)}.{_text(getattr(event, self.entity))}"

    def subject_at_once(self, event: Event) -> str:
        """Where it is told before the request that caused it is answered: lossy, and without its envelope."""
        return f"now.{self.service}.{self.fact}.{_text(event.org_id)}.{_text(getattr(event, self.entity))}"

    @property
    def pattern(self) -> str:
        """The subject of every event of this type, in any org and of any entity."""
        return f"event.{self.service}.{self.fact}.*.*"


class LiveTopic(Struct, frozen=True, eq=False):
    """What one service alone tells on `live.<org>.<topic>.<id>`: never stored, lossy by contract. The id is one of `entity`."""

    message: type[Struct]
    service: str
    topic: str
    entity: str

    def subject(self, org_id: UUID, entity_id: UUID) -> str:
        return f"live.{_text(org_id)}.{self.topic}.{_text(entity_id)}"

    @property
    def pattern(self) -> str:
        """The subject of everything on this topic, in any org and of any entity."""
        return f"live.*.{self.topic}.*"


_text = to_builtins
"""An id as JSON has it, which is what `str` makes of it in four times as long."""
_operations: dict[type, Operation] = {}
_events: dict[type, EventType] = {}
_problems: dict[str, type[Problem]] = {}
_live: dict[str, LiveTopic] = {}

_HTTP = re.compile(r"(GET|POST|PUT|PATCH|DELETE) (/\S*)")
DEFAULT_MAX_BODY = 256 * 1024
"""Bytes of an HTTP body that the gateway reads for an operation that does not say otherwise."""


def operation(
    *,
    scope: str,
    http: str | None = None,
    problems: Iterable[type[Problem]] = (),
    callers: Iterable[str] = (),
    idempotent: bool = True,
    raw_body: str | None = None,
    max_body: int = DEFAULT_MAX_BODY,
    local: bool = False,
    fresh: bool = False,
    by_person: bool = False,
    on_socket: bool = False,
    may_be_accepted: bool = False,
) -> Callable[[C], C]:
    """Declare a request as an operation of the service whose proto module it stands in.

    scope: PUBLIC, SIGNED_IN, INTERNAL, or `<noun>:<verb>` that the actor's grants must hold.
    callers: services that may call it on the bus; the gateway may call whatever has a route.
    idempotent: whether the operation takes `Idempotency-Key` (only for those that change something).
    raw_body: the `bytes` field that holds the HTTP body as it came; the other fields come from path and query.
    local: answered by the gateway itself, so it has a route and no subject.
    by_person: a decision that no step of a run takes for somebody.
    on_socket: whether it may be called over `/api/v1/live`, too.
    may_be_accepted: whether it also answers 202, with the same, where what was asked for goes on behind the answer.
    fresh: for people who proved who they are within the last FRESH_S alone; others are refused with StepUpRequired.
    """

    def declare(request: C) -> C:
        answer = _answer(request)
        streams = getattr(answer, "__origin__", None) is Stream
        match = _HTTP.fullmatch(http) if http else None
        if http and not match:
            raise ValueError(f"{request.__name__}: http must be 'VERB /path', not {http!r}")
        _operations[request] = Operation(
            request=request,
            answer=get_args(answer)[0] if streams else answer,
            service=_service(request),
            name=snake_case(request.__name__),
            scope=scope,
            verb=match[1] if match else None,
            path=match[2] if match else None,
            problems=tuple(problems),
            callers=tuple(callers),
            idempotent=idempotent and match is not None and match[1] != "GET",
            streams=streams,
            raw_body=raw_body,
            max_body=max_body,
            local=local,
            fresh=fresh,
            by_person=by_person,
            on_socket=on_socket,
            may_be_accepted=may_be_accepted,
        )
        return request

    return declare


def event(
    *, entity: str, listeners: Iterable[str] = (), at_once: Iterable[str] = (), shown: str = ""
) -> Callable[[E], E]:
    """Declare an event of the service whose proto module it stands in.

    entity: the field that orders it and ends its subject. listeners: services with a durable consumer of it. at_once:
    services that keep copies of what it changes, and are told before who caused it has an answer. shown: by which scope
    anybody in the org is told of it on the live topic `org`; only where that scope lets them read all that it is about.
    """

    def declare(cls: E) -> E:
        fact = snake_case(cls.__name__)
        _events[cls] = EventType(cls, _service(cls), fact, entity, tuple(listeners), tuple(at_once), shown)
        return cls

    return declare


def live(message: type[Struct], *, topic: str, entity: str) -> LiveTopic:
    """Declare a live topic of the service whose proto module the message stands in."""
    told = LiveTopic(message, _service(message), topic, entity)
    if _live.setdefault(topic, told).message is not message:
        raise ValueError(f"two live topics are named {topic}")
    return told


def problem(*, status: int, retryable: bool = False) -> Callable[[P], P]:
    """Declare a problem: its HTTP status, and whether the same call may succeed later."""

    def declare(cls: P) -> P:
        service = _service(cls)
        cls.status, cls.retryable = status, retryable
        cls.type = "/problems/" + ("" if service == "problems" else service + "/") + kebab_case(cls.__name__)
        cls.title = (cls.__doc__ or "").strip().splitlines()[0]
        if _problems.setdefault(cls.type, cls) is not cls:
            raise ValueError(f"two problems are of type {cls.type}")
        return cls

    return declare


def operation_of(request: type[Request[A]]) -> Operation:
    """The declaration of a request type; KeyError for a Struct that was never declared."""
    return _operations[request]


def event_type_of(cls: type[Event]) -> EventType:
    """The declaration of an event type; KeyError for a Struct that was never declared."""
    return _events[cls]


def problem_of_type(uri: str) -> type[Problem] | None:
    """The problem class of a `type` URI; None for one that this version does not know."""
    return _problems.get(uri)


def operations(service: str | None = None) -> tuple[Operation, ...]:
    """All declared operations, or those of one service, in the order of declaration."""
    return tuple(o for o in _operations.values() if service in (None, o.service))


def events(service: str | None = None) -> tuple[EventType, ...]:
    """All declared events, or those that one service publishes, in the order of declaration."""
    return tuple(e for e in _events.values() if service in (None, e.service))


def live_topics(service: str | None = None) -> tuple[LiveTopic, ...]:
    """All declared live topics, or those of one service, in the order of declaration."""
    return tuple(t for t in _live.values() if service in (None, t.service))


def problems() -> tuple[type[Problem], ...]:
    """All declared problems, in the order of declaration."""
    return tuple(_problems.values())


def success_status(operation: Operation) -> int:
    """The HTTP status of every answer that is no problem: 204 where nothing is answered, 200 otherwise."""
    return 204 if operation.answer is None else 200


def ce_source(service: str) -> str:
    """The CloudEvents `source` of a service's events, a URI reference."""
    return f"/services/{service}"


def ce_type(service: str, fact: str) -> str:
    """The CloudEvents `type` of an event: `polis.catalog.version_published`."""
    return f"polis.{service}.{fact}"


def snake_case(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def kebab_case(name: str) -> str:
    return snake_case(name).replace("_", "-")


def _service(cls: type) -> str:
    """The module that declares it, or the package that this module is in: `polis.proto.<service>[.<noun>]`."""
    module = cls.__module__.removeprefix("polis.proto.")
    return module.partition(".")[0] if module != cls.__module__ else module.rpartition(".")[2]


def _answer(request: type) -> object:
    for base in getattr(request, "__orig_bases__", ()):
        if getattr(base, "__origin__", None) is Request:
            answer = get_args(base)[0]
            return None if answer is type(None) else answer
    raise TypeError(f"{request.__name__} must subclass Request[Answer]")


def fields_of(cls: type) -> dict[str, object]:
    """Field names of a Struct with their resolved, annotated types."""
    hints = get_type_hints(cls, include_extras=True)
    return {name: hints[name] for name in cls.__struct_fields__}  # type: ignore[attr-defined]
