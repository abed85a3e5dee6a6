"""Tickets that open one live connection each, for pages of other origins: a socket of theirs carries no header and no cookie.

A ticket is kept by the gateway that issued it, in memory, for half a minute. Another gateway at which it is shown asks that one,
so it is good once and no more, wherever it comes. Who it is for is told between gateways alone.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import TYPE_CHECKING

import msgspec

from polis.bus import BusError
from polis.gateway.credentials import Bearer
from polis.proto import Refused
from polis.proto.gateway import TICKET_PROTOCOL, LiveTicket
from polis.proto.problems import Overloaded, Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Iterable

    from polis.bus import Message
    from polis.gateway.credentials import Credentials
    from polis.gateway.http import Exchange
    from polis.proto import Operation
    from polis.service import Actor, Kernel

VALID_S = 30
_ASK_S = 1.0
_ISSUED = 10_000
_SHOWN, _ANSWERED = "peer.gateway.ticket", "peer.gateway.holder"


class _Shown(msgspec.Struct):
    """A ticket that another gateway was shown. to: who asks."""

    secret: str
    to: str


class _Answered(msgspec.Struct):
    """For whom it is, if it is good."""

    secret: str
    bearer: Bearer | None


class Tickets:
    """Those that this gateway has issued, and questions about those of others."""

    def __init__(self, kernel: Kernel, credentials: Credentials) -> None:
        self._kernel = kernel
        self._credentials = credentials
        self._id = secrets.token_hex(8)
        self._issued: dict[str, tuple[Bearer, float]] = {}
        self._asked: dict[str, asyncio.Future[Bearer | None]] = {}

    async def listen(self) -> None:
        """Answer other gateways, and hear them."""
        await self._kernel.bus.subscribe(f"{_SHOWN}.{self._id}", self._on_shown)
        await self._kernel.bus.subscribe(f"{_ANSWERED}.{self._id}", self._on_answered)

    async def issue(self, exchange: Exchange, _: Operation, __: dict[str, str], ___: Actor) -> None:
        """Answers IssueLiveTicket."""
        now = time.monotonic()
        self._issued = {secret: kept for secret, kept in self._issued.items() if kept[1] > now}
        if len(self._issued) >= _ISSUED:
            raise Refused(Overloaded(retry_after_s=1.0))
        bearer = Bearer(self._credentials.token(exchange), exchange.header(b"x-org-id") or None)
        secret = secrets.token_urlsafe(32)
        self._issued[secret] = (bearer, now + VALID_S)
        ticket = LiveTicket(ticket=f"{self._id}.{secret}", expires_in_s=VALID_S)
        await exchange.answer(200, msgspec.json.encode(ticket))

    async def bearer(self, ticket: str) -> Bearer:
        """For whom a ticket is, which is good no more. Refused(Unauthenticated)."""
        issuer, _, secret = ticket.partition(".")
        found = self._take(secret) if issuer == self._id else await self._ask(issuer, secret)
        if found is None:
            raise Refused(Unauthenticated(), "the ticket is unknown, used or expired")
        return found

    def _take(self, secret: str) -> Bearer | None:
        bearer, until = self._issued.pop(secret, (None, 0.0))
        return bearer if until > time.monotonic() else None

    async def _ask(self, issuer: str, secret: str) -> Bearer | None:
        if not issuer.isalnum() or secret in self._asked:
            return None
        answer: asyncio.Future[Bearer | None] = asyncio.get_running_loop().create_future()
        self._asked[secret] = answer
        try:
            self._kernel.bus.publish(f"{_SHOWN}.{issuer}", msgspec.json.encode(_Shown(secret, self._id)))
            async with asyncio.timeout(_ASK_S):
                return await answer
        except (BusError, TimeoutError, ValueError):
            return None  # whoever issued it is gone, and its tickets with it
        finally:
            del self._asked[secret]

    def _on_shown(self, message: Message) -> None:
        shown = msgspec.json.decode(message.payload, type=_Shown)
        answer = _Answered(shown.secret, self._take(shown.secret))
        self._kernel.bus.publish(f"{_ANSWERED}.{shown.to}", msgspec.json.encode(answer))

    def _on_answered(self, message: Message) -> None:
        answered = msgspec.json.decode(message.payload, type=_Answered)
        asked = self._asked.get(answered.secret)
        if asked is not None and not asked.done():
            asked.set_result(answered.bearer)


def shown(offered: Iterable[str]) -> str:
    """The ticket among the subprotocols that a client offers; "" without one."""
    return next((p.removeprefix(TICKET_PROTOCOL) for p in offered if p.startswith(TICKET_PROTOCOL)), "")
