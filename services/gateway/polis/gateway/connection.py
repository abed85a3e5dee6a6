"""Connections of the public port: uvicorn's, with operations served beside ASGI, and bounds on what a client may do.

A request to an operation is read, answered and recorded here without a task or a dictionary of ASGI; pages, the live
streams and whatever streams a body go the ordinary way. Answers leave in the order of their requests, whichever way.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from polis.gateway.direct import Direct, blank_problem, head_of
from polis.gateway.facades import OPEN, STREAM
from polis.gateway.head import BadHead, add_header, check
from polis.gateway.health import SYSTEM
from polis.gateway.http import PROBLEM, Disconnect
from polis.gateway.routes import LIVE

if TYPE_CHECKING:
    from polis.gateway.edge import Edge

HEAD_S = 10.0
"""How long a client may take for the head of a request."""
BODY_PAUSE_S, BODY_S = 30.0, 120.0
"""How long it may be silent in the middle of a body, and take for all of it."""
KEEP_ALIVE_S = 75.0
"""Longer than proxies in front usually keep a connection: they, not we, should end an idle one."""
LEAVE_S = 1.0
"""The same when the port closes: the next request may be under way, and its answer is where a client is told to go."""
READ_S = 30.0
"""How long it may leave an answer unread."""
LINGER_S = 2.0
"""How long what is no longer wanted is still taken, so that the answer to it is not lost with the connection."""
MAX_HEAD_BYTES: Final = 64 * 1024
"""Of what stands before a body, and between and behind its parts: trailers are kept until they end, whoever reads them."""
_MAX_PIPELINED = 64
_DISCARDED_BYTES = 64 * 1024
"""Up to this size the rest of a refused body is taken, and the connection kept."""
_PREFIX = b"/api/"
_ASGI = frozenset((LIVE, STREAM, *OPEN, SYSTEM))
"""What is answered below it without being an operation."""
_IDLE, _HEAD, _BODY, _CLOSING = range(4)


class Connection(HttpToolsProtocol):
    """One client. `_current` is the direct exchange whose turn it is, `_reading` the one whose body arrives."""

    def __init__(self, edge: Edge, **given: Any) -> None:
        super().__init__(**given)
        self._edge = edge
        self._proxy = edge.proxy
        self.site = ""
        self._phase = _IDLE
        self._head_bytes = 0
        self._behind_bytes = 0
        self._arriving = 0
        self._whole = b""
        """What has arrived just now, where it begins with a head that is not read to its end."""
        self._until = 0.0
        self._body_until = 0.0
        self._unread_since = 0.0
        self._leaving = self._last = self._deaf = False
        """The next request is the last; none after those in hand; not even what belongs to one is taken any more."""
        self._current: Direct | None = None
        self._reading: Direct | None = None
        self._upgrading: Direct | None = None
        self._queue: deque[Direct] = deque()
        self._held: tuple[Any, Any] | None = None
        self._turning = False

    # Life

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._until = self.loop.time() + HEAD_S
        self.site = self._edge.sites.of(self.client[0] if self.client else "")
        self._edge.opened(self)

    def turn_away(self) -> None:
        """There are too many connections."""
        self._reject(503, "there are too many connections")

    def cut_off(self) -> None:
        """As many as there may be, without a word."""
        self._last = self._deaf = True
        self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._edge.closed(self)
        self._phase = _CLOSING
        current, self._current = self._current, None
        self._queue.clear()
        if current is not None and not current.complete:
            current.fail(Disconnect())
            self._proxy.complete(current)
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """The port closes: what is in hand is answered, or else one more request, and that answer says that it was the last.

        An answer of ASGI that has begun cannot say so any more: then the one behind it does.
        """
        self._leaving = True
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            self._last = self._last or not cycle.response_started
            cycle.keep_alive = cycle.keep_alive and not self._last
        elif self._current is not None or self._queue:
            self._last = True
        elif self._phase == _IDLE:
            self._wait_for_another()

    def _wait_for_another(self) -> None:
        self._until = self.loop.time() + (LEAVE_S if self._leaving else KEEP_ALIVE_S)

    def overdue(self, now: float) -> bool:
        return 0 < self._until <= now or 0 < self._unread_since <= now - READ_S

    def give_up(self) -> None:
        """The client took too long for what it was to do next."""
        if self._phase == _IDLE and self._unread_since > self.loop.time() - READ_S:
            self._until = 0.0
            self.transport.close()  # behind what is still being read
        elif self._unread_since or self._phase == _CLOSING or self._answered_early():
            self.transport.abort()
        elif self._phase == _IDLE:
            self.transport.close()
        else:
            self._reject(408, "the request does not arrive in time")

    def _answered_early(self) -> bool:
        """Whether the request whose body still arrives has its answer."""
        if self._phase != _BODY:
            return False
        reading = self._reading
        return bool(self.cycle.response_complete if reading is None else reading.status)

    # What arrives

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        if self.timeout_keep_alive_task is not None:
            self._unset_keepalive_if_required()
        self._whole = b""
        if self._phase == _IDLE:
            if self._take(data):
                return
            self._whole = data
        self._arriving = len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            self._malformed(error)
        else:
            if self._phase == _HEAD:
                self._in_head(len(data))
            elif self._phase == _BODY:
                self._in_body(len(data))

    def _take(self, data: bytes) -> bool:
        """Whether this is one request, all there and with headers that were read before: it needs no parser."""
        read = self._edge.sections.read(data)
        if read is None or self._last or self._current is not None or self._queue or self._asgi_has_it():
            return False
        method, path, query, section, body = read
        exchange = self._made(method, path, query, section.headers, keep_alive=True)
        if path in _ASGI or not self._proxy.route(exchange):
            return False
        exchange.bearer = section.bearer
        self._last = self._leaving
        self._until = 0.0
        self._begin(exchange)
        if body:
            exchange.feed(body)
        self._complete(exchange)
        return True

    def _in_head(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > MAX_HEAD_BYTES:
            self._reject(431, f"the head is longer than {MAX_HEAD_BYTES} bytes")

    def _in_body(self, size: int) -> None:
        self._behind_bytes += size
        if self._reading is not None:
            self._until = min(self.loop.time() + BODY_PAUSE_S, self._body_until)
        if self._behind_bytes <= MAX_HEAD_BYTES:
            return
        if self._answered_early():
            self.transport.abort()
        else:
            self._reject(431, f"what stands beside the body is longer than {MAX_HEAD_BYTES} bytes")

    def _upgrade(self, rest: bytes) -> None:
        """The client wants to speak another protocol behind this request. rest: what it has said in that already."""
        self._until = 0.0
        exchange, self._upgrading = self._upgrading, None
        if exchange is None:  # none that is spoken here
            self._last = self._deaf = True
            return
        self._current = exchange
        self.flow.pause_reading()
        self._edge.live.upgrade(exchange, lambda protocol, head: self._hand_over(protocol, head, rest))

    def _hand_over(self, protocol: asyncio.Protocol, head: bytes, rest: bytes) -> None:
        """From the answer's head on the connection is another protocol's, and this one forgets it."""
        transport, self._current = self.transport, None
        self._edge.closed(self)
        self._edge.live.sockets.belong_to(self.server_state.connections)
        self.server_state.connections.discard(self)
        self.parser = None  # type: ignore[assignment]  # it holds this connection, as uvicorn's do when they end
        transport.set_protocol(protocol)
        transport.write(head)
        protocol.connection_made(transport)
        if transport.is_closing():
            protocol.connection_lost(None)
            return
        if rest:
            protocol.data_received(rest)
        transport.resume_reading()

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn always closes
        """The client closed its side. What it has asked for in full is still answered."""
        self._last = self._deaf = True
        return self._current is not None and self._current.complete

    def on_message_begin(self) -> None:
        self.url = b""
        self._headers: dict[bytes, bytes] = {}
        self.expect_100_continue = False
        self._phase = _HEAD
        self._head_bytes = 0
        self._until = self.loop.time() + HEAD_S
        self._reading = None

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._phase == _HEAD:  # else it is a trailer, which nothing here reads
            add_header(self._headers, name, value)

    def on_headers_complete(self) -> None:
        self._phase = _BODY
        self._behind_bytes = -self._arriving  # what arrives now is not all behind it
        self._until = 0.0
        whole, self._whole = self._whole, b""
        version = self.parser.get_http_version()
        headers = check(version, self.url, self._headers, self._head_bytes + self._arriving)
        if self._last or len(self._queue) >= _MAX_PIPELINED:
            raise BadHead("nothing more is taken on this connection")
        self._last = self._leaving
        if headers.get(b"upgrade", b"").lower() == b"websocket" and self.parser.should_upgrade():
            self._upgrading = self._upgrade_of(version, headers)
            return
        exchange = self._direct(version, headers) if self.url.startswith(_PREFIX) else None
        if exchange is None:
            self._fall_through(headers)
            return
        if whole:
            self._edge.sections.learn(whole, exchange)
        self._reading = exchange
        self._body_until = self.loop.time() + BODY_S
        if self._current is None:
            self._begin(exchange)
        else:
            self._queue.append(exchange)
            self.flow.pause_reading()

    def _direct(self, version: str, headers: dict[bytes, bytes]) -> Direct | None:
        """The exchange, unless it streams, or stands behind one that ASGI is answering: their order is uvicorn's."""
        if self._asgi_has_it() or self.parser.should_upgrade():
            return None
        exchange = self._exchange(headers, keep_alive=version == "1.1" and self.parser.should_keep_alive())
        return exchange if exchange.path not in _ASGI and self._proxy.route(exchange) else None

    def _asgi_has_it(self) -> bool:
        """Whether ASGI is still answering a request."""
        return self._held is not None or (self.cycle is not None and not self.cycle.response_complete)

    def _upgrade_of(self, version: str, headers: dict[bytes, bytes]) -> Direct:
        """A handshake, which is the last that is said in HTTP."""
        busy = self._current is not None or self._queue or self._held or self._asgi_is_due()
        if busy or version != "1.1":
            raise BadHead("a WebSocket opens with HTTP/1.1, and when nothing else is asked for")
        return self._exchange(headers, keep_alive=False)

    def _exchange(self, headers: dict[bytes, bytes], *, keep_alive: bool) -> Direct:
        path, _, query = self.url.partition(b"?")
        method = self.parser.get_method().decode("ascii")
        return self._made(method, path.decode("latin-1"), query, headers, keep_alive=keep_alive)

    def _made(
        self, method: str, path: str, query: bytes, headers: dict[bytes, bytes], *, keep_alive: bool
    ) -> Direct:
        peer = self.client[0] if self.client else ""
        secure = self.scheme == "https"
        return Direct(self, method, path, query, headers, peer=peer, secure=secure, keep_alive=keep_alive)

    def _begin(self, exchange: Direct) -> None:
        self._current = exchange
        self._proxy.begin(exchange)
        if exchange.quick and not exchange.complete:
            self.invite(exchange)

    def _fall_through(self, headers: dict[bytes, bytes]) -> None:
        """To ASGI, as uvicorn does it."""
        url, seen = self.url, list(headers.items())
        super().on_message_begin()
        self.url = url
        self.headers += seen
        self.expect_100_continue = headers.get(b"expect", b"").lower() == b"100-continue"
        super().on_headers_complete()
        if self._last and self.cycle is not None:
            self.cycle.keep_alive = False

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        if self._current is None and not self._queue:
            super()._start_asgi_task(cycle, app)
        else:
            self._held = (cycle, app)
            self.flow.pause_reading()

    def on_body(self, body: bytes) -> None:
        self._behind_bytes = -self._arriving
        exchange = self._reading
        if exchange is None:
            if self._upgrading is None:
                super().on_body(body)
            return
        exchange.feed(body)
        if exchange.fault is not None and exchange is self._current:
            self._proxy.complete(exchange)

    def on_message_complete(self) -> None:
        exchange = self._reading
        self._phase = _IDLE
        if self._upgrading is not None:
            self._upgrading.complete = True
            return
        if exchange is None:
            super().on_message_complete()
            if self.cycle.response_complete:
                self._wait_for_another()
            return
        self._until = 0.0
        self._reading = None
        self._complete(exchange)

    def _complete(self, exchange: Direct) -> None:
        """The whole body is there."""
        exchange.done()
        if exchange is self._current:
            self._proxy.complete(exchange)
        elif exchange.status:
            self._next()

    # What leaves

    def invite(self, exchange: Direct) -> None:
        """The body is wanted: tell a client that waits to hear so."""
        if exchange.headers.get(b"expect", b"").lower() == b"100-continue" and exchange is self._current:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def keeps(self, exchange: Direct) -> bool:
        """Whether the connection outlives an answer: not where much of a refused body would still have to be taken."""
        if not exchange.keep_alive or (self._last and not self._queue and self._held is None):
            return False
        size = exchange.announced
        return exchange.complete or (size is not None and size <= _DISCARDED_BYTES)

    def send(self, exchange: Direct, data: bytes) -> None:
        """Write the answer to the current exchange, and go on with what waits behind it."""
        if exchange is not self._current or self.transport.is_closing():
            return
        self.server_state.total_requests += 1
        self._current = None
        self.transport.write(data)
        if not exchange.keep_alive:
            self._end(linger=not exchange.complete)
        elif exchange.complete:
            self._next()

    def _next(self) -> None:
        """Begin what waits; a loop, for answers may be ready at once."""
        if self._turning:
            return
        self._turning = True
        while self._queue and self._current is None and self._phase != _CLOSING:
            exchange = self._queue.popleft()
            self._begin(exchange)
            if exchange.complete and self._current is exchange:
                self._proxy.complete(exchange)
        self._turning = False
        if self._queue or self._phase == _CLOSING:
            return
        if self._current is None and self._held is not None:
            held, self._held = self._held, None
            super()._start_asgi_task(*held)
        self._resume()
        if self._current is None and self._phase == _IDLE:
            self._wait_for_another()

    def _resume(self) -> None:
        if not (self._queue or self._held or self.flow.write_paused):
            self.flow.resume_reading()

    def on_response_complete(self) -> None:
        """ASGI has answered: as uvicorn does it, with our own time for idle connections and for a body that nobody reads."""
        super().on_response_complete()
        self._unset_keepalive_if_required()
        if self.pipeline or not self.cycle.response_complete:
            return
        if self._last:
            self.transport.close()
        elif self._phase == _IDLE:
            self._wait_for_another()
        elif self._phase == _BODY:
            self._until = self.loop.time() + BODY_PAUSE_S

    def pause_writing(self) -> None:
        super().pause_writing()
        self.flow.pause_reading()
        self._unread_since = self.loop.time()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unread_since = 0.0
        self._resume()

    # Refusing before there is a request

    def _malformed(self, error: Exception) -> None:
        cause = error.__context__
        if isinstance(cause, BadHead):
            self._reject(cause.status, str(cause))
        elif isinstance(error, httptools.HttpParserCallbackError):
            raise error
        else:
            self._reject(400, "this is not HTTP/1.1 as RFC 9112 has it")

    def _reject(self, status: int, detail: str) -> None:
        """Refuse and close. While answers to earlier requests are due, close behind them without a word."""
        reading, self._reading = self._reading, None
        self._last = self._deaf = True
        self._until = 0.0
        if reading is not None:
            reading.fail(Disconnect())
            if reading is self._current:
                self._current = None
                self._proxy.complete(reading)
            elif reading in self._queue:
                self._queue.remove(reading)
        if self._current is not None or self._queue or self._held or self._asgi_is_due():
            return
        body = blank_problem(status, detail)
        head = head_of(status, PROBLEM)
        self.transport.write(b"%bcontent-length: %d\r\nconnection: close\r\n\r\n%b" % (head, len(body), body))
        self._end(linger=True)

    def _asgi_is_due(self) -> bool:
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            return False
        return cycle.response_started or not cycle.more_body

    def _end(self, *, linger: bool) -> None:
        """Close behind the last answer. Who may still be sending is heard out: a reset would lose it the answer."""
        self._phase = _CLOSING
        self._last = self._deaf = True
        if linger and self.transport.can_write_eof():
            self.transport.write_eof()
            self._until = self.loop.time() + LINGER_S
        else:
            self.transport.close()
