"""The gateway's process: it answers no subject, only HTTP and WebSocket."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from polis.gateway.app import Gateway
from polis.gateway.config import GatewaySettings
from polis.service import Kernel, Service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def _open(settings: GatewaySettings, kernel: Kernel) -> AsyncIterator[Gateway]:
    gateway = Gateway(kernel, settings)
    if gateway.certificate is not None:
        kernel.tasks.start(gateway.certificate.keep(), name="certificate")
    await gateway.tickets.listen()
    await gateway.requests.listen()
    kernel.tasks.start(gateway.peers.run(), name="peers")
    try:
        yield gateway
    finally:
        await gateway.requests.close()


service = Service(
    "gateway",
    settings=GatewaySettings,
    open=_open,
    http=lambda _, gateway: gateway,
    connection=lambda gateway: gateway.connection,
)
