"""A core for the servers and one for the load, as the peers' scripts have it: neither takes the other's time."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SERVERS, LOAD = 0, 1


@contextmanager
def apart(servers: Iterable[int], load: Iterable[int]) -> Iterator[bool]:
    """While this lasts the processes of these ids, with all that they started, stay on their core; whether that could be."""
    cores = os.sched_getaffinity(0)
    places = {SERVERS: list(servers), LOAD: list(load)}
    if not cores >= set(places):
        yield False
        return
    for core, pids in places.items():
        _keep(pids, {core})
    try:
        yield True
    finally:
        for pids in places.values():
            _keep(pids, cores)


def _keep(pids: Iterable[int], cores: set[int]) -> None:
    """Threads that are there have a place of their own; those to come take it from the one that starts them."""
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            top = psutil.Process(pid)
            for process in (top, *top.children(recursive=True)):
                _keep_process(process, cores)


def _keep_process(process: psutil.Process, cores: set[int]) -> None:
    with suppress(psutil.NoSuchProcess):
        for thread in process.threads():
            with suppress(ProcessLookupError):
                os.sched_setaffinity(thread.id, cores)
