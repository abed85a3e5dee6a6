"""How much memory a mesh takes: the proportional set size of its supervisor and of everything that it started."""

from __future__ import annotations

from contextlib import suppress

import psutil


def footprint(supervisor: int) -> int:
    """Bytes. Shared pages count once, divided among those who share them; where the system does not tell, resident ones."""
    try:
        top = psutil.Process(supervisor)
        processes = [top, *top.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    return sum(_of(process) for process in processes)


def _of(process: psutil.Process) -> int:
    with suppress(psutil.Error):
        full = process.memory_full_info()
        return int(getattr(full, "pss", 0) or full.rss)
    return 0
