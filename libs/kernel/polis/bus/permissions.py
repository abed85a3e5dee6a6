"""Who may say and hear what on the bus: computed from the contract, never written down by hand.

A service serves its own requests, publishes its own events and calls what names it; it cannot make streams or consumers
(FOLLOWERS one of each stream), nor see another's requests or replies. Replies go where those who may call it await its
answers (ADR 48), or once to whoever else asked: without that bound the server would remember every request for minutes.
"""

from __future__ import annotations

import msgspec

from polis.bus.inbox import OWN
from polis.proto import registry
from polis.proto.contract import EventType, Operation, events, live_topics, operations

GATEWAY = "gateway"
ADMIN = "admin"
FOLLOWERS = ("runtime",)
"""Services whose users say at run time which events are followed: they take any event that is told."""
_SESSION_ENDED = "event.identity.session_ended.>"
"""Every service drops the tokens of a session that has ended."""
_DISCOVERY_CALLERS = ("_INBOX.>", f"_INBOX_{ADMIN}.>")


class User(msgspec.Struct, frozen=True):
    """What one service may publish and subscribe. `responds`: it may also answer whoever asks it, once."""

    name: str
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    responds: bool


def inbox_prefix(service: str) -> str:
    """Where this service, and nobody else, may listen for replies."""
    return f"_INBOX_{service}"


def stream_name(service: str) -> str:
    return f"EVENTS_{service.upper()}"


def durable_name(listener: str, source: str) -> str:
    """The consumer by which `listener` takes the events of `source`."""
    return f"{listener}_{source}"


def followed_name(service: str, source: str) -> str:
    """The consumer by which a service of FOLLOWERS takes what it follows of the events of `source`."""
    return f"{service}_follows_{source}"


def users() -> tuple[User, ...]:
    """One user for each service of the registry."""
    registry.load()
    return tuple(_user(service.name) for service in registry.SERVICES)


def _user(service: str) -> User:
    called = [o for o in operations() if o.callable_by(service)]
    heard = [e for e in events() if service in e.listeners]
    serves = any(not o.local for o in operations(service))
    publish = [
        *(o.subject for o in called),
        *_own_stream(service),
        _peers(service),
        *(told.pattern for told in live_topics(service)),
        *((f"now.{service}.>",) if any(e.at_once for e in events(service)) else ()),
        *(s for source in _sources(heard) for s in _consumer(source, durable_name(service, source))),
        *(f"$JS.API.STREAM.MSG.GET.{stream_name(source)}" for source in _sources(heard)),
        *(_followed(service) if service in FOLLOWERS else ()),
        *(f"dead.{e.service}.{e.fact}" for e in heard),
        *_answers(service),
        *_answer_streams(service, called),
        *(() if serves else _DISCOVERY_CALLERS),
    ]
    subscribe = [
        f"{inbox_prefix(service)}.>",
        *((f"rpc.{service}.>",) if serves else ()),
        *_discovery(service),
        _peers(service),
        *(("live.>", "event.>") if service == GATEWAY else (_SESSION_ENDED,)),
        *(f"now.{e.service}.{e.fact}.>" for e in events() if service in e.at_once),
    ]
    return User(service, _unique(publish), _unique(subscribe), serves)


def _peers(service: str) -> str:
    """What the processes of a service tell each other: who else could say it would empty a gateway's buckets."""
    return f"peer.{service}.>"


def _own_stream(service: str) -> tuple[str, ...]:
    if not events(service):
        return ()
    stream = stream_name(service)
    return f"event.{service}.>", f"$JS.API.STREAM.INFO.{stream}", f"$JS.API.STREAM.MSG.GET.{stream}"


def _sources(heard: list[EventType]) -> tuple[str, ...]:
    return _unique([e.service for e in heard])


def _followed(service: str) -> list[str]:
    """One consumer of each stream that is its own to make and change, and no other; and what the stream holds already."""
    found = []
    for source in _sources(list(events())):
        name, stream = followed_name(service, source), stream_name(source)
        found += [f"$JS.API.CONSUMER.CREATE.{stream}.{name}", f"$JS.API.STREAM.MSG.GET.{stream}"]
        found += _consumer(source, name)
    return found


def _consumer(source: str, durable: str) -> tuple[str, ...]:
    name = f"{stream_name(source)}.{durable}"
    return f"$JS.API.CONSUMER.MSG.NEXT.{name}", f"$JS.API.CONSUMER.INFO.{name}", f"$JS.ACK.{name}.>"


def _answers(service: str) -> tuple[str, ...]:
    """Where those who may ask it await what it answers, and only that: joined calls get several answers to one subject."""
    callers = [
        other.name
        for other in registry.SERVICES
        if any(o.callable_by(other.name) and not o.local for o in operations(service))
    ]
    return tuple(f"{inbox_prefix(caller)}.{service}.>" for caller in (*callers, ADMIN))


def _answer_streams(service: str, called: list[Operation]) -> tuple[str, ...]:
    """A streamed answer is many messages to one subject, and credit flows back: each side may write to the other's own."""
    callers = [
        other.name
        for other in registry.SERVICES
        if any(o.streams and o.callable_by(other.name) for o in operations(service))
    ]
    producers = [o.service for o in called if o.streams]
    return tuple(f"{inbox_prefix(peer)}.{OWN}.>" for peer in callers + producers)


def _discovery(service: str) -> tuple[str, ...]:
    """`$SRV` by NATS ADR-32: asked of all, of this service, or of one process of it."""
    verbs = ("PING", "INFO", "STATS")
    return tuple(f"$SRV.{verb}{scope}" for verb in verbs for scope in ("", f".{service}", f".{service}.*"))


def _unique(subjects: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(subjects))
