"""A child's output on its way into a file that cannot grow without end."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from typing import IO

MAX_BYTES = 16 * 1024 * 1024
"""A log is turned over at this size; the one before is kept beside it."""


async def pump(source: IO[bytes], path: Path) -> None:
    """Copy what comes into the log until the child's end of the pipe is closed."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), source)
    try:
        file = path.open("ab")
        while chunk := await reader.read(65536):
            if file.tell() > MAX_BYTES:
                file.close()
                os.replace(path, f"{path}.1")  # noqa: PTH105 - a rename is no wait
                file = path.open("ab")
            file.write(chunk)
            file.flush()
        file.close()
    finally:
        transport.close()
