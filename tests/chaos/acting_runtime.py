"""A runtime process for tests that break it. One of its components acts on the outside instead, and fails at times.

The first argument is the file that gets a line for each act: its key, its item and the process. Settings come from the
environment as for any service.
"""

from __future__ import annotations

import asyncio
import os
import sys

from polis.graph import builtin
from polis.runtime import component
from polis.runtime.component import Implementation, StepFailed, implementations
from polis.runtime.service import service

ACT = builtin.components()["uuid"]
"""What is no part of the runtime is in no graph, so it acts under the name of a component with the same ports."""
ACT_S = 0.02
_tried: set[str] = set()


def refuses(item: int) -> bool:
    return item % 5 == 0


def is_busy_at_first(item: int) -> bool:
    return item % 3 == 1


async def act(step, inputs):
    """The line is there whatever becomes of this process; what is emitted says which process it was."""
    item = inputs["in"]
    await asyncio.sleep(ACT_S)
    if refuses(item):
        raise StepFailed("act.refused", f"no to {item}")
    if is_busy_at_first(item) and step.key not in _tried:
        _tried.add(step.key)
        raise StepFailed("act.busy", "not now", retryable=True)
    outside = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(outside, f"{step.key} {item} {os.getpid()}\n".encode())
    os.close(outside)
    step.emit("out", {"item": item, "by": os.getpid()})


if __name__ == "__main__":
    implementations()
    component._implementations[ACT.key] = Implementation(ACT, task=act)
    service.run()
