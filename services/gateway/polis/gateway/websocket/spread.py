"""The same bytes to many sockets: in one call of this tree's native code where setup/native.sh built it, else one by one.

It writes past the transports, to those that hold nothing back; whoever is slow, or gone, is left to its transport.
"""

from __future__ import annotations

import ctypes
import socket
import sys
import sysconfig
from array import array
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

BUILT = Path(sysconfig.get_path("platlib")) / "polis_spread.so"
LEFT_OUT = -1
LEAST = 20
"""Fewer are written to one by one: looking them up would cost what the call saves."""


class Line(NamedTuple):
    """A connection past its transport. number: of its socket. waiting: how many bytes its transport holds.

    busy: the numbers whose transports were written to, and may hold something since; one set for all of a port.
    """

    number: int
    waiting: Callable[[], int]
    busy: set[int]


class Writer(Protocol):
    """Takes whole frames; never waits."""

    def write(self, data: bytes, /) -> None: ...

    def line(self) -> Line | None:
        """Where to write past it. It holds until it follows no more."""


class _Behind(ctypes.Structure):
    _fields_ = (("place", ctypes.c_int32), ("taken", ctypes.c_int32))


class Native:
    """The call. OSError or AttributeError where it was not built, or of other code."""

    def __init__(self, built: Path = BUILT) -> None:
        self._spread = ctypes.CDLL(str(built)).polis_spread
        self._spread.argtypes = (
            ctypes.c_void_p, ctypes.c_int32, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p,
        )  # fmt: skip
        self._spread.restype = ctypes.c_int32

    def __call__(self, numbers: array[int], data: bytes) -> list[tuple[int, int]]:
        """Who has not taken all, by their place, and how much they have taken."""
        those = (_Behind * len(numbers))()
        late = self._spread(numbers.buffer_info()[0], len(numbers), data, len(data), those)
        return [(each.place, each.taken) for each in those[:late]]


def native() -> Native | None:
    """The call, where it can be used."""
    try:
        return Native()
    except (OSError, AttributeError):
        return None


class Ring:
    """So many writers of one port that are told the same, as they are looked up for the native code."""

    __slots__ = ("_busy", "_numbers", "_places", "_writers")

    def __init__(self, writers: Iterable[Writer]) -> None:
        self._writers = tuple(writers)
        self._numbers = array("i", [LEFT_OUT]) * len(self._writers)
        self._places: dict[int, tuple[int, Line]] = {}
        self._busy: set[int] = set()
        for place, writer in enumerate(self._writers):
            line = writer.line()
            if line is not None:
                self._numbers[place] = line.number
                self._places[line.number] = place, line
                self._busy = line.busy

    def tell(self, spread: Native, data: bytes) -> None:
        """Behind what their transports hold already; the rest, of those who do not take all, too."""
        writers = self._writers
        for place, taken in spread(self._free(), data):
            writers[place].write(data[taken:] if taken else data)

    def _free(self) -> array[int]:
        """The numbers of those whose transports hold nothing: mostly all, and only of the busy ones that has to be asked."""
        numbers = self._numbers
        for number in self._busy & self._places.keys():
            place, line = self._places[number]
            if not line.waiting():
                self._busy.discard(number)
                continue
            if numbers is self._numbers:
                numbers = self._numbers[:]
            numbers[place] = LEFT_OUT
        return numbers


def _check(built: Path) -> None:
    """SystemExit unless it writes to a socket, and leaves out who is to be left out."""
    one, other = socket.socketpair()
    with one, other:
        late = Native(built)(array("i", [LEFT_OUT, one.fileno()]), b"told")
        if late != [(0, 0)] or other.recv(16) != b"told":
            sys.exit("what was built does not write as it should")


if __name__ == "__main__":
    _check(Path(sys.argv[1]))
