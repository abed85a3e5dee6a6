"""The senders of B7, as the gateway would call: each keeps so many posts in flight, every one under a client id of its own."""

from __future__ import annotations

import asyncio
import os
import time
from itertools import count
from uuid import UUID

import uvloop

from polis.bus import Bus
from polis.bus.permissions import inbox_prefix
from polis.proto.messaging import PostMessage
from polis.service import Caller
from tests.bench.child import own_output, serve
from tests.bench.posts import SENDERS

_TEXT = "Is anybody at the gate? The flight to Oslo is called, and we are two short."


async def main() -> None:
    output = own_output()
    user = os.environ["POLIS_NATS_USER"]
    bus = await Bus.connect(
        os.environ["POLIS_NATS_URL"],
        name="bench-posts",
        user=user,
        password=os.environ["POLIS_NATS_PASSWORD"],
        inbox_prefix=inbox_prefix(user),
    )
    caller, numbers = Caller(bus, timeout_s=20.0), count(time.time_ns())

    async def measure(token: str, ids: list[str], flights: int, seconds: float) -> object:
        where = [UUID(each) for each in ids]
        waits: list[float] = []
        until = time.perf_counter() + seconds

        async def send(conversation_id: UUID) -> None:
            while (began := time.perf_counter()) < until:
                post = PostMessage(conversation_id, text=_TEXT, client_id=str(next(numbers)))
                await caller.call(post, token=token)
                waits.append(time.perf_counter() - began)

        senders = SENDERS * flights or 1
        began = time.perf_counter()
        await asyncio.gather(*(send(where[n % len(where)]) for n in range(senders)))
        took = time.perf_counter() - began
        waits.sort()
        return len(waits) / took, _ms(waits, 0.5), _ms(waits, 0.99)

    await serve(measure, output)
    await bus.close()


def _ms(waits: list[float], share: float) -> float:
    return waits[int((len(waits) - 1) * share)] * 1000


if __name__ == "__main__":
    uvloop.run(main())
