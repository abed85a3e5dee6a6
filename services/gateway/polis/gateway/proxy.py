"""The way of a request through the gateway: route, actor, buckets, scope, body, decode, call, answer, record."""

from __future__ import annotations

import asyncio
import time
from functools import cache
from typing import TYPE_CHECKING, Protocol

from polis.gateway.decode import to_request
from polis.gateway.http import Disconnect, Exchange
from polis.proto import PUBLIC, Operation, Refused
from polis.proto.problems import Internal, Unavailable
from polis.service import call
from polis.service.actor import ANONYMOUS, Actor, admit
from polis.service.dispatch import REPLAYED
from polis.telemetry import log, metrics, spans, trace

if TYPE_CHECKING:
    from polis.bus import Message
    from polis.gateway.buckets import Buckets
    from polis.gateway.credentials import Credentials
    from polis.gateway.http import Receive, Scope, Send
    from polis.gateway.proxies import Proxies
    from polis.gateway.routes import Routes
    from polis.service import Kernel
    from polis.telemetry import Trace

_ROLLOUT_S = 2.0
"""How long a request that no instance has taken is offered again: a service may be restarting."""
_ROLLOUT_STEP_S = 0.05
_MAX_REQUEST_ID = 128
_answered, _seconds = cache(metrics.requests.labels), cache(metrics.seconds.labels)


class Local(Protocol):
    """Answers an operation inside the gateway."""

    async def __call__(
        self, exchange: Exchange, operation: Operation, path: dict[str, str], actor: Actor, /
    ) -> None: ...


class Admission:
    """Buckets of the public origin: by principal, by address, and a stricter one where credentials are tried."""

    def __init__(
        self, proxies: Proxies, *, principals: Buckets, addresses: Buckets, credentials: Buckets
    ) -> None:
        self._proxies = proxies
        self._principals = principals
        self._addresses = addresses
        self._credentials = credentials

    def take(self, exchange: Exchange, operation: Operation, actor: Actor) -> None:
        """Refused(Overloaded) when a bucket that applies is empty."""
        if actor is not ANONYMOUS:
            self._principals.take(actor.principal_id)
            return
        address = self._proxies.address(exchange)
        self._addresses.take(address)
        if operation.mutates:
            self._credentials.take(address)


class Proxy:
    """The public operations, over ASGI without a framework: this is the path that every call takes."""

    def __init__(
        self,
        kernel: Kernel,
        routes: Routes,
        credentials: Credentials,
        admission: Admission,
        local: dict[type, Local],
    ) -> None:
        self._kernel = kernel
        self._routes = routes
        self._credentials = credentials
        self._admission = admission
        self._local = local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange(scope, receive, send)
        here = trace.parse(exchange.header(b"traceparent") or None)
        exchange.request_id = _request_id(exchange) or here.trace_id
        started = time.monotonic()
        name, actor, problem = "unrouted", ANONYMOUS, ""
        try:
            with trace.enter(here):
                method = "GET" if exchange.method == "HEAD" else exchange.method
                operation, path = self._routes.match(method, exchange.path)
                name = operation.name
                actor = await self._actor(exchange, operation)
                await self._handle(exchange, operation, path, actor)
        except Refused as refusal:
            problem = refusal.problem.type
            await _refuse(exchange, refusal, here)
        except (Disconnect, ConnectionError):
            exchange.status = exchange.status or 499
        except Exception as error:  # noqa: BLE001 - the last wall: recorded with its trace, told without text
            problem = Internal.type
            log.error("request.failed", operation=name, exc_info=error)
            await _refuse(exchange, Refused(Internal()), here)
        seconds = time.monotonic() - started
        self._record(exchange, name, actor=actor, problem=problem, here=here, seconds=seconds)

    async def _actor(self, exchange: Exchange, operation: Operation) -> Actor:
        """Who asks, admitted by the buckets and the operation's scope before a byte of the body is read.

        A public operation asks nobody: a page whose cookies are stale can still sign in.
        """
        if operation.scope == PUBLIC:
            self._admission.take(exchange, operation, ANONYMOUS)
            return ANONYMOUS
        try:
            token = self._credentials.token(exchange)
            actor = await self._kernel.keys.actor(token, exchange.header(b"x-org-id") or None)
        except Refused:
            self._admission.take(exchange, operation, ANONYMOUS)
            raise
        self._admission.take(exchange, operation, actor)
        admit(operation, actor)
        return actor

    async def _handle(
        self, exchange: Exchange, operation: Operation, path: dict[str, str], actor: Actor
    ) -> None:
        local = self._local.get(operation.request)
        if local is not None:
            await local(exchange, operation, path, actor)
            return
        request = await read(exchange, operation, path)
        headers = call.headers_of(
            token=actor.token,
            org="" if actor is ANONYMOUS else str(actor.org_id),
            idempotency_key=exchange.header(b"idempotency-key") if operation.idempotent else "",
            timeout_s=self._kernel.settings.call_timeout_s,
            here=trace.current() or trace.start(),
        )
        headers[call.REQUEST_ID] = exchange.request_id
        reply = await self._offer(operation, call.encode(operation, request), headers)
        code = reply.headers.get(call.ERROR_CODE)
        if code is not None:
            await exchange.answer_problem(int(code), reply.payload)
            return
        if REPLAYED in reply.headers:
            exchange.extra.append((REPLAYED.lower().encode(), b"true"))
        if operation.answer is None:
            await exchange.answer_nothing()
        else:
            await exchange.answer(200, reply.payload)

    async def _offer(self, operation: Operation, payload: bytes, headers: dict[str, str]) -> Message:
        """Send, and send again while no instance has taken it (so nothing was done): a roll-out drops no request."""
        wait = self._kernel.settings.call_timeout_s
        end = time.monotonic() + min(_ROLLOUT_S, wait)
        while True:
            try:
                return await self._kernel.caller.send(operation, payload, headers, timeout_s=wait)
            except Refused as refusal:
                untaken = (
                    isinstance(refusal.problem, Unavailable)
                    and refusal.problem.dependency == operation.service
                )
                if not untaken or time.monotonic() >= end:
                    raise
            await asyncio.sleep(_ROLLOUT_STEP_S)

    def _record(
        self, exchange: Exchange, name: str, *, actor: Actor, problem: str, here: Trace, seconds: float
    ) -> None:
        _answered(name, str(exchange.status)).inc()
        _seconds(name).observe(seconds)
        first = self._kernel.requests.add(
            self._kernel.requests.line(
                name,
                status=exchange.status,
                seconds=seconds,
                here=here,
                request_id=exchange.request_id,
                principal_id="" if actor is ANONYMOUS else actor.principal_id,
                org_id="" if actor is ANONYMOUS else actor.org_id,
                problem=problem,
            )
        )
        if first:
            asyncio.get_running_loop().call_soon(self._kernel.requests.flush)
        if spans.recording(here, failed=exchange.status >= 500):
            attributes: dict[str, str | int] = {
                "http.request.method": exchange.method,
                "http.route": name,
                "http.response.status_code": exchange.status,
            }
            spans.record(name, here, kind="server", seconds=seconds, attributes=attributes, error=problem)


async def read(exchange: Exchange, operation: Operation, path: dict[str, str]) -> object:
    """The operation's request out of an exchange, with its body bounded before it is parsed."""
    body = b""
    if operation.verb not in ("GET", "DELETE"):
        body = await exchange.body(operation.max_body)
    return to_request(operation, path, exchange.query, body, exchange.header(b"content-type"))


async def _refuse(exchange: Exchange, refusal: Refused, here: Trace) -> None:
    if exchange.status:  # the answer has begun: closing the connection is the only honest end
        raise ConnectionAbortedError from refusal
    await exchange.refuse(refusal.problem, refusal.detail, here.trace_id)


def _request_id(exchange: Exchange) -> str:
    given = exchange.header(b"x-request-id")
    if len(given) > _MAX_REQUEST_ID or not given.isascii() or not given.isprintable():
        return ""
    return given
