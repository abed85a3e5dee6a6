"""Where the data of test servers lies: in memory, if the machine has room there.

The thousand small files of a new database are most of what it costs on a disk.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_MEMORY = Path("/dev/shm")  # noqa: S108 - the folder below it is one's own
_ROOM_BYTES = 2 << 30
"""Several sessions may share it; a container's has 64 MiB."""


@contextmanager
def quick_folder(prefix: str) -> Iterator[Path]:
    """A folder for as long as this lasts."""
    forget_the_dead(_MEMORY)
    place = _MEMORY if _has_room() else None
    named = f"{prefix}{os.getpid()}-"
    with tempfile.TemporaryDirectory(prefix=named, dir=place, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def forget_the_dead(place: Path) -> None:
    """Remove what sessions have left there that were killed: nobody else would, and it is memory."""
    for folder in place.glob("polis-*-*-*"):
        pid = folder.name.split("-")[2]
        if pid.isdigit() and not _lives(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _has_room() -> bool:
    try:
        return os.access(_MEMORY, os.W_OK | os.X_OK) and shutil.disk_usage(_MEMORY).free > _ROOM_BYTES
    except OSError:
        return False
