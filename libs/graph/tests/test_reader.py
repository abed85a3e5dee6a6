"""Contents are read in threads, also of a type that nobody has read before."""

from __future__ import annotations

import subprocess
import sys

_AT_ONCE = """
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import msgspec

from polis.graph.reader import reader

AT_ONCE = 4


def nested(number):
    # A Struct of its own, made of others: it is learned a part at a time.
    kind = int
    for depth in range(20):
        kind = msgspec.defstruct(f"S{number}_{depth}", [("of", kind | None, None), ("n", int, 0)])
    return kind


readers = [reader(nested(number)) for number in range(100)]
begin = Barrier(AT_ONCE)


def read(_):
    for each in readers:
        begin.wait()
        assert each({"n": 1}).n == 1


sys.setswitchinterval(1e-6)
with ThreadPoolExecutor(AT_ONCE) as threads:
    list(threads.map(read, range(AT_ONCE)))
"""


def test_threads_read_a_type_for_the_first_time_together():
    """Of a type that is half known a process crashes, without a word; these threads take turns all the time."""
    done = subprocess.run([sys.executable, "-c", _AT_ONCE], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
