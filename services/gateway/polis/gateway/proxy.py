"""The way of a request through the gateway: route, actor, buckets, scope, body, decode, call, answer, record.

What needs no wait but the service's answer goes the quick way: plain calls, from the connection and from the bus. As soon
as anything else has to be waited for (a key to fetch, a service that restarts) the same steps go on in a task.
"""

from __future__ import annotations

import asyncio
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from polis.bus import BusError, BusTimeout, Disconnected, NoResponders
from polis.gateway import finish
from polis.gateway.decode import whole
from polis.gateway.direct import Direct
from polis.gateway.http import AsgiExchange, Disconnect, Exchange
from polis.gateway.incoming import payload_of, read, said_in_headers
from polis.proto import PUBLIC, Operation, Refused
from polis.proto.problems import Internal, NotFound, TooLarge, Unavailable
from polis.service import call
from polis.service.actor import ANONYMOUS, Actor, admit
from polis.service.wire import encode_problem
from polis.telemetry import log, metrics, spans, trace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from polis.bus import Message
    from polis.gateway.actors import Actors
    from polis.gateway.admission import Admission
    from polis.gateway.cors import Cors
    from polis.gateway.http import Receive, Scope, Send
    from polis.gateway.requests import Requests
    from polis.gateway.routes import Routes
    from polis.service import Kernel

_ROLLOUT_S = 2.0
"""How long a request that no instance has taken is offered again: a service may be restarting."""
_ROLLOUT_STEP_S = 0.05


class Local(Protocol):
    """Answers an operation inside the gateway."""

    async def __call__(
        self, exchange: Exchange, operation: Operation, path: dict[str, str], actor: Actor, /
    ) -> None: ...


class Streamed(Protocol):
    """Answers an operation whose body streams in or out."""

    async def __call__(
        self, exchange: AsgiExchange, operation: Operation, path: dict[str, str], actor: Actor, /
    ) -> None: ...


class Proxy:
    """The public operations. `streamed` are those that go over ASGI, `local` those that the gateway answers itself."""

    def __init__(
        self,
        kernel: Kernel,
        routes: Routes,
        actors: Actors,
        admission: Admission,
        requests: Requests,
        *,
        cors: Cors,
        local: dict[type, Local],
        streamed: dict[type, Streamed],
    ) -> None:
        self._kernel = kernel
        self._routes = routes
        self._actors = actors
        self._cors = cors
        self._admission = admission
        self._requests = requests
        self._local = local
        self._streamed = streamed
        self._wait_s = kernel.settings.call_timeout_s

    # From the connection

    def route(self, exchange: Direct) -> bool:
        """Find the operation; false for what streams, and so needs ASGI."""
        try:
            operation, exchange.values = self._match(exchange)
        except Refused as refusal:
            exchange.fault = refusal
            return True
        exchange.operation = operation
        return operation.request not in self._streamed

    def begin(self, exchange: Direct) -> None:
        """The head is there: settle what can be before a byte of the body is read."""
        operation = exchange.operation
        if b"origin" in exchange.headers:
            asked = self._cors.preflight(exchange)
            exchange.extra += self._cors.headers(exchange) if asked is None else asked
            if asked is not None:
                exchange.finish(204, b"", None)
                self._record(exchange)
                return
        try:
            if operation is None or exchange.fault is not None:
                raise exchange.fault or Refused(NotFound())  # noqa: TRY301 - all refusals are told below
            if operation.request in self._local or not self._admitted(exchange, operation):
                self._kernel.tasks.start(self._in_turn(exchange, operation), name="request")
            elif (exchange.announced or 0) > exchange.bound and operation.verb not in ("GET", "DELETE"):
                self._refuse(exchange, Refused(TooLarge(max_bytes=exchange.bound)))
            else:
                exchange.quick = True
        except Refused as refusal:
            self._refuse(exchange, refusal)
        except Disconnect:
            self._leave(exchange)
        except Exception as error:  # noqa: BLE001 - the last wall: recorded with its trace, told without text
            self.broken(exchange, error)

    def complete(self, exchange: Direct) -> None:
        """The body is there, or it is known that it will not come: ask the service."""
        operation = exchange.operation
        if not exchange.quick or exchange.status or operation is None:
            return
        exchange.quick = False
        try:
            self._ask(exchange, operation, payload_of(exchange, operation))
        except Refused as refusal:
            self._refuse(exchange, refusal)
        except Disconnect:
            self._leave(exchange)
        except Exception as error:  # noqa: BLE001 - the last wall
            self.broken(exchange, error)

    def call(self, exchange: Exchange, operation: Operation, body: bytes, actor: Actor) -> None:
        """An operation that came by another way than as a request of HTTP, with all of its fields in its body.

        Of an actor whose requests are counted by `call_counted`.
        """
        exchange.actor = actor
        exchange.name = operation.name
        try:
            self._admission.take(exchange, operation, actor)
            admit(operation, actor)
            self._ask(exchange, operation, whole(operation, body))
        except Refused as refusal:
            self._refuse(exchange, refusal)
        except Exception as error:  # noqa: BLE001 - the last wall
            self.broken(exchange, error)

    async def call_counted(self, exchange: Exchange, operation: Operation, body: bytes, actor: Actor) -> None:
        """The same, when it has been counted; on its way when this returns."""
        exchange.actor = actor
        exchange.name = operation.name
        try:
            await self._let_in(exchange, operation, actor)
            self._ask(exchange, operation, whole(operation, body))
        except Refused as refusal:
            self._refuse(exchange, refusal)
        except Exception as error:  # noqa: BLE001 - the last wall
            self.broken(exchange, error)

    def counts(self, actor: Actor) -> bool:
        """Whether a quota bounds requests of the actor's org: then they wait for being counted."""
        return actor.org_id.int in self._requests.bound

    def refuse(self, exchange: Exchange, refusal: Refused) -> None:
        """Answer such a one with a refusal."""
        self._refuse(exchange, refusal)

    def _ask(self, exchange: Exchange, operation: Operation, payload: bytes) -> None:
        headers = self._headers(exchange, operation)
        asked = _Asked(self, exchange, operation, payload, headers)
        bus = self._kernel.bus
        try:
            bus.ask_for(asked, operation.subject, payload, headers=headers, timeout_s=self._wait_s)
        except BusError as error:
            self.failed(asked, error)

    def _admitted(self, exchange: Direct, operation: Operation) -> bool:
        """Whether the actor is known without a wait, not counted, and let in. Refused as in `_actor`."""
        actor = ANONYMOUS
        if operation.scope != PUBLIC:
            known = self._actors.known(exchange)
            if known is None:
                return False
            exchange.actor = actor = known
            if actor.org_id.int in self._requests.bound:
                return False
        self._admission.take(exchange, operation, actor)
        admit(operation, actor)
        return True

    def answered(self, exchange: Exchange, operation: Operation, reply: Message) -> None:
        """The service has answered: so do we."""
        status, body, media_type, long = finish.outcome(exchange, operation, reply)
        if not long:
            exchange.finish(status, body, media_type)
        elif len(body) <= finish.COMPRESSED_INLINE_BYTES:
            exchange.finish(status, finish.compressed(exchange, body))
        else:
            self._kernel.tasks.start(self._compress(exchange, body), name="compress")
            return
        self._record(exchange)

    async def _compress(self, exchange: Exchange, body: bytes) -> None:
        smaller = await asyncio.to_thread(finish.compressed, exchange, body)
        exchange.finish(200, smaller)
        self._record(exchange)

    def failed(self, asked: _Asked, error: BaseException) -> None:
        """No answer: once more in a task, for nobody may have taken it; a refusal otherwise."""
        if not isinstance(error, (NoResponders, BusTimeout, Disconnected)):
            self.broken(asked.exchange, error)
            return
        refusal = call.refusal_of(asked.operation, error)
        if _untaken(asked.operation, refusal):
            work = self._again(asked.exchange, asked.operation, asked.payload, asked.headers)
            self._kernel.tasks.start(work, name="request")
        else:
            self._refuse(asked.exchange, refusal)

    def _refuse(self, exchange: Exchange, refusal: Refused) -> None:
        problem = refusal.problem
        body = encode_problem(problem, detail=refusal.detail, instance=exchange.here.trace_id)
        exchange.finish(problem.status, *exchange.as_told(problem.status, body))
        self._kernel.denials.note(exchange.actor, exchange.name, problem)
        self._record(exchange, problem.type)

    def broken(self, exchange: Exchange, error: BaseException) -> None:
        with trace.enter(exchange.here):
            log.error("request.failed", operation=exchange.name, exc_info=error)
        if not exchange.status:
            self._refuse(exchange, Refused(Internal()))

    def _leave(self, exchange: Exchange) -> None:
        exchange.status = exchange.status or 499
        self._record(exchange)

    # In a task

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A request that came over ASGI."""
        exchange = AsgiExchange(scope, receive, send)
        if b"origin" in exchange.headers:
            exchange.extra += self._cors.headers(exchange)
        await self._walled(exchange, None)

    async def _in_turn(self, exchange: Direct, operation: Operation) -> None:
        await self._walled(exchange, (operation, exchange.values))

    async def _walled(self, exchange: Exchange, matched: tuple[Operation, dict[str, str]] | None) -> None:
        problem = ""
        try:
            with trace.enter(exchange.here):
                operation, path = matched or self._match(exchange)
                await self._actor(exchange, operation)
                await self._handle(exchange, operation, path)
        except Refused as refusal:
            problem = refusal.problem.type
            self._kernel.denials.note(exchange.actor, exchange.name, refusal.problem)
            await _tell(exchange, refusal)
        except (Disconnect, ConnectionError):
            exchange.status = exchange.status or 499
        except Exception as error:  # noqa: BLE001 - the last wall: recorded with its trace, told without text
            problem = Internal.type
            log.error("request.failed", operation=exchange.name, exc_info=error)
            await _tell(exchange, Refused(Internal()))
        self._record(exchange, problem)

    async def _again(self, exchange: Exchange, operation: Operation, payload: bytes, headers: bytes) -> None:
        try:
            with trace.enter(exchange.here):
                reply = await self._offer(operation, payload, headers)
        except Refused as refusal:
            self._refuse(exchange, refusal)
        except Exception as error:  # noqa: BLE001 - the last wall
            self.broken(exchange, error)
        else:
            self.answered(exchange, operation, reply)

    def _match(self, exchange: Exchange) -> tuple[Operation, dict[str, str]]:
        method = "GET" if exchange.method == "HEAD" else exchange.method
        operation, path = self._routes.match(method, exchange.path)
        exchange.name = operation.name
        return operation, path

    async def _actor(self, exchange: Exchange, operation: Operation) -> None:
        """Who asks, admitted by the buckets and the operation's scope before a byte of the body is read.

        A public operation asks nobody: a page whose cookies are stale can still sign in.
        """
        if operation.scope == PUBLIC:
            self._admission.take(exchange, operation, ANONYMOUS)
            return
        try:
            actor = await self._actors.actor(exchange)
        except Refused:
            self._admission.take(exchange, operation, ANONYMOUS)
            raise
        exchange.actor = actor
        await self._let_in(exchange, operation, actor)

    async def _let_in(self, exchange: Exchange, operation: Operation, actor: Actor) -> None:
        """By the buckets, the operation's scope, and the quotas of requests where the org has some."""
        self._admission.take(exchange, operation, actor)
        admit(operation, actor)
        if self.counts(actor):
            await self._requests.count(operation, actor)

    async def _handle(self, exchange: Exchange, operation: Operation, path: dict[str, str]) -> None:
        said = said_in_headers(exchange, operation)
        streamed = self._streamed.get(operation.request)
        local = self._local.get(operation.request)
        if streamed is not None:
            assert isinstance(exchange, AsgiExchange)  # noqa: S101 - routing sends these nowhere else
            await streamed(exchange, operation, path, exchange.actor)
            return
        if local is not None:
            await local(exchange, operation, path | said, exchange.actor)
            return
        payload = call.encode(operation, await read(exchange, operation, path | said))
        reply = await self._offer(operation, payload, self._headers(exchange, operation))
        status, body, media_type, long = finish.outcome(exchange, operation, reply)
        if long:
            body = await asyncio.to_thread(finish.compressed, exchange, body)
        await exchange.answer(status, body, media_type)

    async def _offer(self, operation: Operation, payload: bytes, headers: bytes) -> Message:
        """Send, and send again while no instance has taken it (so nothing was done): a roll-out drops no request."""
        end = time.monotonic() + min(_ROLLOUT_S, self._wait_s)
        while True:
            try:
                return await self._kernel.caller.send(operation, payload, headers, timeout_s=self._wait_s)
            except Refused as refusal:
                if not _untaken(operation, refusal) or time.monotonic() >= end:
                    raise
            await asyncio.sleep(_ROLLOUT_STEP_S)

    # Both

    def _headers(self, exchange: Exchange, operation: Operation) -> bytes:
        actor, here = exchange.actor, exchange.here
        more: dict[str, str] = {}
        if exchange.request_id != here.trace_id:
            more[call.REQUEST_ID] = exchange.request_id
        if operation.idempotent and b"idempotency-key" in exchange.headers:
            more[call.IDEMPOTENCY_KEY] = exchange.header(b"idempotency-key")
        if operation.service == "identity":  # who keeps sessions and guards sign-in wants to know
            more |= self.client(exchange)
        org = "" if actor is ANONYMOUS else exchange.header(b"x-org-id")  # without one, it is the token's
        return call.headers_of(token=actor.token, org=org, timeout_s=self._wait_s, here=here, more=more)

    def client(self, exchange: Exchange) -> Mapping[str, str]:
        """What services are told of the client."""
        return _client(self._admission.proxies.address(exchange), exchange.header(b"user-agent"))

    def _record(self, exchange: Exchange, problem: str = "") -> None:
        seconds = time.monotonic() - exchange.began
        metrics.answered(exchange.name, exchange.status, seconds)
        anonymous = exchange.actor is ANONYMOUS
        requests = self._kernel.requests
        first = requests.add(
            requests.line(
                exchange.name,
                status=exchange.status,
                seconds=seconds,
                here=exchange.here,
                request_id=exchange.request_id,
                principal_id="" if anonymous else exchange.actor.principal_id,
                org_id="" if anonymous else exchange.actor.org_id,
                problem=problem,
            )
        )
        if first:
            asyncio.get_running_loop().call_soon(requests.flush)
        if spans.recording(exchange.here, failed=exchange.status >= 500):
            attributes: dict[str, str | int] = {
                "http.request.method": exchange.method,
                "http.route": exchange.name,
                "http.response.status_code": exchange.status,
            }
            spans.record(
                exchange.name,
                exchange.here,
                kind="server",
                seconds=seconds,
                attributes=attributes,
                error=problem,
            )


_client = lru_cache(maxsize=1024)(call.client_headers)


class _Asked(Struct, eq=False):
    """A request on the bus: it takes the reply in place of a future, so nothing waits a turn of the loop."""

    proxy: Proxy
    exchange: Exchange
    operation: Operation
    payload: bytes
    headers: bytes

    def done(self) -> bool:
        return False

    def set_result(self, reply: Message, /) -> None:
        try:
            self.proxy.answered(self.exchange, self.operation, reply)
        except Exception as error:  # noqa: BLE001 - the bus must not stumble over one answer
            self.proxy.broken(self.exchange, error)

    def set_exception(self, error: BaseException, /) -> None:
        self.proxy.failed(self, error)


def _untaken(operation: Operation, refusal: Refused) -> bool:
    """Whether no instance of the service has taken the request."""
    return isinstance(refusal.problem, Unavailable) and refusal.problem.dependency == operation.service


async def _tell(exchange: Exchange, refusal: Refused) -> None:
    if exchange.status:  # the answer has begun: closing the connection is the only honest end
        raise ConnectionAbortedError from refusal
    await exchange.refuse(refusal.problem, refusal.detail)
