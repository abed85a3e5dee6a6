"""B7's senders with their loop in C (senders.c): what a sender costs should not bound what is posted."""

from __future__ import annotations

import ctypes
import json
import re
import time
from array import array
from itertools import count
from typing import NamedTuple

from tests.bench.dial import dial, masked, until

_MOST_POSTS = 2_000_000
_PATIENCE_S = 30.0
_SEQ = re.compile(rb'"seq":(\d+)')
_bases = count(time.time_ns(), _MOST_POSTS)


class Found(NamedTuple):
    """How long it took, how long each post waited for its answer, what the senders' own CPU was, and what was wrong."""

    seconds: float
    waits_ms: list[float]
    worked_s: float
    faults: list[str]


class _Sender(ctypes.Structure):
    _fields_ = (
        ("fd", ctypes.c_int32),
        ("in_flight", ctypes.c_int32),
        ("last", ctypes.c_int64),
        ("conversation", ctypes.c_char_p),
    )


class _Work(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int64) for name in ("base", "room", "posted", "acked", "told")),
        *((name, ctypes.c_void_p) for name in ("began_ns", "wait_us", "times_told")),
        *((name, ctypes.c_int64) for name in ("until_ns", "ended_ns")),
        ("fault", ctypes.c_char * 256),
    )


def measure(
    native: ctypes.CDLL, port: int, token: str, places: list[tuple[str, bool]], flights: int, seconds: float
) -> Found:
    """places: the conversation that each sender posts in, and whether it follows it."""
    sockets = [dial(port, "/api/v1/live", token) for _ in places]
    senders = (_Sender * len(places))()
    for sender, plain, (conversation, follows) in zip(senders, sockets, places, strict=True):
        last = -1
        if follows:
            topic = f"conversation/{conversation}"
            plain.sendall(masked(json.dumps({"op": "subscribe", "topic": topic}).encode()))
            found = _SEQ.search(until(plain, b'"op":"snapshot"'))
            last = int(found[1]) if found else 0
        plain.setblocking(False)
        sender.fd, sender.last, sender.conversation = plain.fileno(), last, conversation.encode()
    found = _work(native, senders, flights, seconds)
    for plain in sockets:
        plain.close()
    return found


def _work(native: ctypes.CDLL, senders: ctypes.Array[_Sender], flights: int, seconds: float) -> Found:
    began = array("q", bytes(8 * _MOST_POSTS))
    waits = array("I", bytes(4 * _MOST_POSTS))
    told = array("B", bytes(_MOST_POSTS))
    work = _Work(base=next(_bases), room=_MOST_POSTS)
    work.began_ns, work.wait_us, work.times_told = (each.buffer_info()[0] for each in (began, waits, told))
    start, worked = time.monotonic_ns(), time.process_time()
    work.until_ns = start + int(seconds * 1e9)
    patience = ctypes.c_int64(int(_PATIENCE_S * 1e9))
    failed = native.work_through(ctypes.byref(work), senders, len(senders), flights, patience)
    worked_s = time.process_time() - worked
    faults = [work.fault.decode("utf-8", "replace")] if failed else []
    took = (work.ended_ns - start) / 1e9
    return Found(took, [wait / 1e3 for wait in waits[: work.posted] if wait], worked_s, faults)
