"""Starting a coroutine without a task: most steps of a pure graph end before they have to wait for anything."""

from __future__ import annotations

import types
from collections.abc import Coroutine, Generator
from typing import Any


def start(work: Coroutine[Any, Any, None]) -> Coroutine[Any, Any, None] | None:
    """Run until it waits; None when it has ended, else what goes on with it, for a task. Raises what it raises.

    Until it first waits the coroutine is in no task: it must not use what needs one, such as `asyncio.timeout`.
    """
    try:
        first = work.send(None)
    except StopIteration:
        return None
    return _go_on(work, first)


async def _go_on(work: Coroutine[Any, Any, None], waits_for: Any) -> None:
    await _rest(work, waits_for)


@types.coroutine
def _rest(work: Coroutine[Any, Any, None], waits_for: Any) -> Generator[Any, Any, None]:
    """Hand on what a started coroutine waits for, and hand back what comes."""
    try:
        while True:
            try:
                given = yield waits_for
            except GeneratorExit:
                raise
            except BaseException as error:  # noqa: BLE001 - a cancellation is the coroutine's to handle
                waits_for = work.throw(error)
            else:
                waits_for = work.send(given)
    except StopIteration:
        return
    finally:
        work.close()
