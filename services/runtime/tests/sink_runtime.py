"""A runtime process for tests that kill it: it has one component more, which writes what it does into a file.

Called with the file's path; settings come from the environment as for any service. While a file of that name with `.held`
behind it is there, items from HELD on are not done, and `test.moody` fails. Runs rest until any further attempt.
"""

from __future__ import annotations

import asyncio
import os
import sys

from polis.proto.graph import Component, Port
from polis.runtime import component
from polis.runtime.component import Implementation, StepFailed, implementations
from polis.runtime.engine import repeats
from polis.runtime.service import service

SLOW = Component("test.slow", "", inputs={"in": Port()}, outputs={"out": Port()}, pure=False)
MOODY = Component("test.moody", "", inputs={"in": Port()}, outputs={"out": Port()}, pure=False)
STEP_S = 0.05
HELD = 4


async def slow(step, inputs):
    """An effect on the outside: the line is there whatever happens to this process afterwards."""
    await asyncio.sleep(STEP_S)
    while inputs["in"] >= HELD and is_held():  # noqa: ASYNC110 - a file is looked for
        await asyncio.sleep(STEP_S)
    write(f"{step.key} {inputs['in']}")
    step.emit("out", inputs["in"])


async def moody(step, inputs):
    """An effect that does not work yet."""
    write(f"{step.key} {step.number}")
    if is_held():
        raise StepFailed("test.moody", "not now", retryable=True)
    step.emit("out", inputs["in"])


def is_held():
    return os.path.exists(f"{sys.argv[1]}.held")  # noqa: PTH110 - a file is looked for


def write(line):
    sink = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(sink, f"{line}\n".encode())
    os.close(sink)


if __name__ == "__main__":
    implementations()
    component._implementations[SLOW.key] = Implementation(SLOW, task=slow)
    component._implementations[MOODY.key] = Implementation(MOODY, task=moody)
    repeats.NEAR_S = 0.0
    service.run()
