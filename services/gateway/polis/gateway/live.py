"""`/api/v1/live`: one WebSocket for all that a client follows (session.py), or server-sent events for one topic (sse.py).

Here is who may open one, how many there may be, and until when they may go on: as long as their token holds.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

from msgspec import Struct

from polis.gateway.codecs import chosen
from polis.gateway.commands import Commands
from polis.gateway.cors import Cors
from polis.gateway.credentials import Bearer
from polis.gateway.direct import blank_problem
from polis.gateway.http import PROBLEM
from polis.gateway.occupancy import Occupancy
from polis.gateway.routes import LIVE
from polis.gateway.session import Session
from polis.gateway.tickets import shown
from polis.gateway.topics import Topics
from polis.gateway.websocket import handshake
from polis.gateway.websocket.handshake import BadHandshake
from polis.gateway.websocket.socket import WebSocket
from polis.gateway.websocket.sockets import Bounds, Sockets
from polis.proto import Refused
from polis.proto.live import MAX_FRAME
from polis.proto.problems import Forbidden, Internal, NotFound, Unauthenticated
from polis.service.actor import ANONYMOUS
from polis.telemetry import log

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from polis.gateway.actors import Actors
    from polis.gateway.config import GatewaySettings
    from polis.gateway.credentials import Credentials
    from polis.gateway.direct import Direct
    from polis.gateway.http import Exchange
    from polis.gateway.proxies import Proxies
    from polis.gateway.proxy import Proxy
    from polis.gateway.tickets import Tickets
    from polis.service import Actor, Kernel

    HandOver = Callable[[WebSocket, bytes], None]
    """Gives the connection to the socket, behind the answer's head."""


_GIVEN = frozenset({b"authorization", b"x-api-key"})
"""What no browser sends by itself: a page of an allowed origin may."""


class Holder(Struct, frozen=True, gc=False):
    """By what somebody is here: a token or an API key, and the org that they chose; and whose place they take, from where."""

    credential: str
    org: str | None
    principal_id: UUID
    site: str


def _bounds(settings: GatewaySettings) -> Bounds:
    return Bounds(
        message_bytes=MAX_FRAME,
        held_bytes=settings.socket_unread_bytes,
        rate=settings.socket_rate / 60,
        burst=settings.socket_burst,
    )


class Live:
    """All that is followed at this process, with its bounds."""

    def __init__(
        self,
        kernel: Kernel,
        settings: GatewaySettings,
        credentials: Credentials,
        actors: Actors,
        *,
        proxy: Proxy,
        proxies: Proxies,
        tickets: Tickets,
    ) -> None:
        self.kernel = kernel
        self.settings = settings
        self.topics = Topics(kernel)
        self.commands = Commands(kernel, proxy, settings.calls_per_socket)
        self._credentials = credentials
        self._actors = actors
        self._proxies = proxies
        self._tickets = tickets
        self.cors = Cors(settings.cors_origins)
        self._occupancy = Occupancy(settings)
        self.sockets = Sockets(asyncio.get_running_loop(), _bounds(settings))

    # Who, and how many

    async def admit(self, exchange: Exchange) -> tuple[Holder, Actor]:
        """Who connects, by header, cookie or ticket, with the origin checked; Refused when nobody, or too often.

        It has its place from now on, until `leave`.
        """
        credential, org = await self._bearer(exchange)
        actor = await self._actors.of(credential, org)
        if actor is ANONYMOUS:
            raise Refused(Unauthenticated())
        site = sys.intern(self._proxies.site(exchange))  # one text for all who come from there
        self._occupancy.take(actor.principal_id, site)
        return Holder(credential, org, actor.principal_id, site), actor

    async def _bearer(self, exchange: Exchange) -> Bearer:
        ticket = shown(handshake.offered(exchange.headers))
        given = bool(ticket) or not exchange.headers.keys().isdisjoint(_GIVEN)
        if not (given and self.cors.allows(exchange.header(b"origin"))):
            self._credentials.demand_same_origin(exchange)
        if ticket:
            return await self._tickets.bearer(ticket)
        return Bearer(self._credentials.token(exchange), exchange.header(b"x-org-id") or None)

    def leave(self, holder: Holder) -> None:
        """One that was admitted is gone."""
        self._occupancy.leave(holder.principal_id, holder.site)

    def holds(self, holder: Holder, actor: Actor) -> bool:
        """Whether a connection may go on as this actor; if not, `renewed` knows."""
        return self.kernel.keys.known(actor.token, holder.org) is not None

    async def renewed(self, holder: Holder, actor: Actor) -> Actor | None:
        """Who a connection is by now: its token may have expired or its session ended, its key be good for another token."""
        if self.holds(holder, actor):
            return actor
        try:
            return await self._actors.of(holder.credential, holder.org)
        except Refused as refusal:
            return None if isinstance(refusal.problem, (Unauthenticated, Forbidden)) else actor

    # WebSockets

    def upgrade(self, exchange: Direct, hand_over: HandOver) -> None:
        """A client wants one. It is refused as any request is, or has the connection."""
        self.kernel.tasks.start(self._upgrade(exchange, hand_over), name="upgrade")

    async def _upgrade(self, exchange: Direct, hand_over: HandOver) -> None:
        try:
            await self._accept(exchange, hand_over)
        except BadHandshake as bad:
            if bad.status == handshake.OTHER_VERSION:
                exchange.extra.append(handshake.SPOKEN)
            exchange.finish(bad.status, blank_problem(bad.status, str(bad)), PROBLEM)
        except Refused as refusal:
            await exchange.refuse(refusal.problem, refusal.detail)
        except Exception as error:  # noqa: BLE001 - the last wall: recorded, and told without text
            log.error("upgrade.failed", exc_info=error)
            await exchange.refuse(Internal())

    async def _accept(self, exchange: Direct, hand_over: HandOver) -> None:
        if exchange.path != LIVE:
            raise Refused(NotFound())
        accepted = handshake.accept(exchange.method, exchange.headers)
        holder, actor = await self.admit(exchange)
        socket = WebSocket(self.sockets)
        codec, protocol = chosen(handshake.offered(exchange.headers))
        socket.session = Session(self, socket, holder, actor, codec)
        hand_over(socket, handshake.switching(accepted, protocol))
