"""Health and metrics on the public port: in full for who operates it, a word for everybody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from polis.gateway.http import AsgiExchange
from polis.gateway.networks import Networks, parsed_address
from polis.proto import Refused
from polis.proto.problems import MethodNotAllowed, NotFound
from polis.telemetry import metrics

if TYPE_CHECKING:
    from polis.gateway.http import Exchange, Receive, Scope, Send
    from polis.gateway.proxies import Proxies
    from polis.service import Kernel

LIVE, READY, METRICS, SYSTEM = "/health/live", "/health/ready", "/metrics", "/api/system/health"
PATHS = frozenset({"/health", LIVE, READY, METRICS, SYSTEM})
_METHODS = ("GET", "HEAD")
_FORWARDED = frozenset({b"forwarded", b"via", b"x-real-ip"})
"""Other traces of a proxy than the header by which the trusted ones say whom they speak for."""


class Operators:
    """Where operators ask from: this machine, and `networks` separated by commas."""

    def __init__(self, networks: str, proxies: Proxies) -> None:
        self._networks = Networks("POLIS_METRICS_FROM", networks)
        self._proxies = proxies

    def include(self, exchange: Exchange) -> bool:
        """A request that somebody forwards whom we do not trust is nobody's here, wherever it comes from."""
        if b"x-forwarded-for" in exchange.headers:
            if not self._proxies.trusts(exchange.peer):
                return False
        elif exchange.headers.keys() & _FORWARDED:
            return False
        address = self._proxies.address(exchange)
        parsed = parsed_address(address)
        return parsed is not None and (parsed.is_loopback or address in self._networks)


class Health:
    """Answers PATHS. What is wrong, and how much is done, is told to operators alone."""

    def __init__(self, kernel: Kernel, operators: Operators) -> None:
        self._kernel = kernel
        self._operators = operators

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = AsgiExchange(scope, receive, send)
        try:
            if exchange.method not in _METHODS:
                raise Refused(MethodNotAllowed(allowed=_METHODS))  # noqa: TRY301 - one place answers refusals
            await self._answer(exchange, scope["path"], operator=self._operators.include(exchange))
        except Refused as refusal:
            await exchange.refuse(refusal.problem)

    async def _answer(self, exchange: AsgiExchange, path: str, *, operator: bool) -> None:
        if path == LIVE:
            await exchange.answer(200, _json({"status": "live"}))
        elif path != METRICS:
            await self._ready(exchange, operator=operator)
        elif operator:
            await exchange.answer(200, metrics.exposition(), metrics.CONTENT_TYPE.encode())
        else:
            raise Refused(NotFound())

    async def _ready(self, exchange: AsgiExchange, *, operator: bool) -> None:
        faults = await self._kernel.faults()
        told: dict[str, object] = {"status": "unready" if faults else "ready"}
        if operator:
            told |= {"service": self._kernel.service, "faults": faults}
        await exchange.answer(503 if faults else 200, _json(told))


def _json(told: dict[str, object]) -> bytes:
    return msgspec.json.encode(told)
