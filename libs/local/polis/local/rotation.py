"""Logs that cannot grow without end. Children write to their files directly: nobody has to be alive to read for them."""

from __future__ import annotations

import asyncio
import os
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 16 * 1024 * 1024
"""A log is turned over at this size; the part before is kept beside it."""
EVERY_S = 2.0


async def bound(folder: Path, *, max_bytes: int = MAX_BYTES, every_s: float = EVERY_S) -> None:
    """Keep the logs of a folder small, until cancelled."""
    while True:
        await asyncio.sleep(every_s)
        await asyncio.to_thread(turn_over, folder, max_bytes)


def turn_over(folder: Path, max_bytes: int = MAX_BYTES) -> None:
    """Writers append, so a file emptied under them goes on at its start; a line written in between may be lost.

    On a full disk what was is let go.
    """
    for log in folder.glob("*.log"):
        with suppress(OSError):
            if log.stat().st_size <= max_bytes:
                continue
            before = log.with_name(log.name + ".1")
            try:
                shutil.copyfile(log, before)
            except OSError:
                before.unlink(missing_ok=True)
            os.truncate(log, 0)
