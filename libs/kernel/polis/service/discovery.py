"""Answers `$SRV.PING`, `$SRV.INFO` and `$SRV.STATS` (NATS ADR-32), so that `nats micro` and any client find a service.

What is said is pure functions of the contract and of counters; `Discovery` only listens and replies.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from polis.bus import Bus, Message, Subscription
    from polis.proto.contract import Operation

PREFIX = "$SRV"
_TYPE = "io.nats.micro.v1.{}_response"

Answer = dict[str, object]


class Counters(Protocol):
    """An operation that is served, with what was counted since the start. `seconds` is the sum of all requests."""

    operation: Operation
    requests: int
    errors: int
    seconds: float
    last_error: str


class Identity(msgspec.Struct, frozen=True):
    """One process of a service. The version is the contract's: it is what a caller has to fit."""

    name: str
    id: str
    version: str
    started: datetime


def identify(service: str) -> Identity:
    """A new process's identity; the id is random and safe as a token of a subject."""
    return Identity(name=service, id=secrets.token_hex(11), version=_version(), started=datetime.now(UTC))


def subjects(verb: str, me: Identity) -> tuple[str, str, str]:
    """Where a verb is asked: of every service, of this kind, of this process."""
    return f"{PREFIX}.{verb}", f"{PREFIX}.{verb}.{me.name}", f"{PREFIX}.{verb}.{me.name}.{me.id}"


def ping(me: Identity) -> Answer:
    return _head("ping", me)


def info(me: Identity, operations: Sequence[Operation]) -> Answer:
    """What the service answers: each operation with subject, queue group and where its schemas stand."""
    return _head("info", me) | {
        "description": _first_line(import_module(f"polis.proto.{me.name}").__doc__),
        "endpoints": [_address(o) | {"metadata": metadata(o)} for o in operations],
    }


def stats(me: Identity, endpoints: Sequence[Counters]) -> Answer:
    """What was counted since the start; times are nanoseconds."""
    started = me.started.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return _head("stats", me) | {"started": started, "endpoints": [_counted(e) for e in endpoints]}


def metadata(operation: Operation) -> dict[str, str]:
    """Scope, route and schema references of an operation; ADR-32 wants strings only."""
    told = {
        "summary": _first_line(operation.request.__doc__),
        "scope": operation.scope,
        "request": f"/docs/schemas.json#/$defs/{operation.request.__name__}",
        "content_type": "application/msgpack" if operation.binary else "application/json",
    }
    if operation.verb:
        told["http"] = f"{operation.verb} /api/v1{operation.path}"
    if operation.streams:
        told["streams"] = "true"
    return told


class Discovery:
    """Listens for the three verbs on behalf of a running service."""

    def __init__(self, bus: Bus, service: str, endpoints: Sequence[Counters]) -> None:
        self.me = identify(service)
        self._bus = bus
        self._endpoints = endpoints
        self._subscriptions: list[Subscription] = []

    async def start(self) -> None:
        answers: dict[str, Callable[[], Answer]] = {
            "PING": lambda: ping(self.me),
            "INFO": lambda: info(self.me, [e.operation for e in self._endpoints]),
            "STATS": lambda: stats(self.me, self._endpoints),
        }
        for verb, answer in answers.items():
            for subject in subjects(verb, self.me):
                self._subscriptions.append(await self._bus.subscribe(subject, partial(self._reply, answer)))

    def stop(self) -> None:
        """Answer no more: a service that drains is not to be found."""
        for subscription in self._subscriptions:
            subscription.unsubscribe()
        self._subscriptions.clear()

    def _reply(self, answer: Callable[[], Answer], message: Message) -> None:
        if message.reply:
            self._bus.publish(message.reply, msgspec.json.encode(answer()))


def _head(verb: str, me: Identity) -> Answer:
    return {"type": _TYPE.format(verb), "name": me.name, "id": me.id, "version": me.version, "metadata": {}}


def _address(operation: Operation) -> Answer:
    return {"name": operation.name, "subject": operation.subject, "queue_group": operation.service}


def _counted(endpoint: Counters) -> Answer:
    spent_ns = round(endpoint.seconds * 1e9)
    return _address(endpoint.operation) | {
        "num_requests": endpoint.requests,
        "num_errors": endpoint.errors,
        "last_error": endpoint.last_error,
        "processing_time": spent_ns,
        "average_processing_time": spent_ns // max(1, endpoint.requests),
        "data": None,
    }


def _first_line(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0]


def _version() -> str:
    try:
        return version("polis-proto")
    except PackageNotFoundError:
        return "0.0.0"
