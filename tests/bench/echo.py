"""An operation that touches no database: what the way through gateway, bus and service costs by itself."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from polis.proto import SIGNED_IN, Request
from polis.proto.contract import operation
from polis.service import Context, Service
from polis.service.actor import Keys

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from polis.service import Kernel, Settings


class Echoed(Struct, frozen=True):
    """What was said."""

    room: str
    text: str


@operation(http="POST /echo", scope=SIGNED_IN, idempotent=False)
class Say(Request[Echoed], frozen=True):
    """Say something and hear it again."""

    room: Annotated[str, Meta(max_length=64)]
    text: Annotated[str, Meta(max_length=4000)]


@asynccontextmanager
async def _open(settings: Settings, kernel: Kernel) -> AsyncIterator[None]:
    """Identity knows the services of the mesh alone, so this one reads revocations under the gateway's name."""
    kernel.keys = Keys(kernel.caller, service="gateway", credential=str(settings.credential))
    yield


service = Service("echo", open=_open)


@service.handles(Say)
async def say(request: Say, ctx: Context[None]) -> Echoed:
    del ctx
    return Echoed(request.room, request.text)


def main() -> None:
    """`echo` serves the operation; `gateway` is the gateway with a route to it."""
    if sys.argv[1:] == ["gateway"]:
        from polis.gateway.service import service as gateway

        gateway.run()
    else:
        service.run()
