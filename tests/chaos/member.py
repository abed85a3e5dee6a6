"""A process for tests that kill it: the relay of identity, or the inbox of the runtime with a listener of the test's.

Settings come from the environment as for any service. The first argument is a JSON object: `part` is "relay" or
"inbox"; `crash_before` and `crash_after` are how often the process kills itself before and after a listener's commit;
`crashing` and `hanging` list numbers whose listener fails or never ends; `defect` is a bug that is put in on purpose.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from random import Random

import msgspec
from msgspec import Struct

from polis.db import Transaction
from polis.proto.identity import AgentDeleted
from polis.service import config, inbox
from polis.service.inbox import Inbox
from polis.service.kernel import open_kernel
from polis.service.relay import Relay
from polis.telemetry import configure

HANDLER_TIMEOUT_S = 0.5
BACKOFF_S = (0.05, 0.1, 0.1, 0.1)


class Part(Struct, frozen=True):
    """What this process is."""

    part: str
    seed: int = 0
    crash_before: float = 0.0
    crash_after: float = 0.0
    crashing: frozenset[int] = frozenset()
    hanging: frozenset[int] = frozenset()
    defect: str = ""


class Effects:
    """The listener: one row for each event, whose number is its org's and whose entity is its agent's."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self._random = Random(part.seed)

    async def on_event(self, event, ctx):
        number = event.org_id.int
        if number in self._part.crashing:
            raise ArithmeticError(f"number {number} cannot be handled")
        if number in self._part.hanging:
            await asyncio.Event().wait()
        await ctx.tx.execute(
            "insert into runtime.effects (number, entity) values ($1, $2)", number, event.agent_id.int
        )
        if self._random.random() < self._part.crash_before:
            os.kill(os.getpid(), signal.SIGKILL)
        if self._random.random() < self._part.crash_after:
            ctx.tx.after_commit(lambda: os.kill(os.getpid(), signal.SIGKILL))


def put_in(defect: str) -> None:
    """The bugs that the checkers have to catch."""
    if defect == "acknowledged before the commit":
        handle = Inbox._attempt

        async def attempt(self, durable, queue, event):
            queue[0].ack()
            await self._kernel.bus.flush(5.0)
            return await handle(self, durable, queue, event)

        Inbox._attempt = attempt
    elif defect == "inbox skipped":

        async def first_time(self, consumer, event_id):
            return True

        Transaction.first_time = first_time
    elif defect:
        raise ValueError(defect)


async def main(part: Part) -> None:
    service = {"relay": "identity", "inbox": "runtime"}[part.part]
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with open_kernel(service, config.read(config.Settings)) as kernel:
        if part.part == "relay":
            kernel.tasks.start(Relay(kernel).run())
        else:
            Inbox(kernel, None, {AgentDeleted: Effects(part).on_event}).start()
        await stop.wait()


if __name__ == "__main__":
    configure("member")
    inbox.HANDLER_TIMEOUT_S, inbox._BACKOFF_S = HANDLER_TIMEOUT_S, BACKOFF_S
    given = msgspec.json.decode(sys.argv[1], type=Part)
    put_in(given.defect)
    asyncio.run(main(given))
