"""The process in which scripts run: it reads calls from its input, writes what came of them, and can do nothing else.

A program of its own, started without site-packages and environment: `worker.py FOLDER_OF_THE_ENGINE`. What it needs is
loaded before it gives up the right to load anything.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent
sys.path[:] = [*sys.path, str(HERE), *sys.argv[1:]]

import confine  # type: ignore[import-not-found] # noqa: E402 - beside this file: see above
import frames  # type: ignore[import-not-found] # noqa: E402
import realm as realms  # type: ignore[import-not-found] # noqa: E402

ADDRESS_SPACE = 1024 * 1024 * 1024
CPU_S = 3600
MAX_REALMS = 16
"""Realms that are kept: a call for another script makes one anew, in about a millisecond."""
MAX_HELD = 4 * 1024 * 1024
"""A realm that holds more than this between two calls is made anew."""
MAX_RESIDENT = 96 * 1024 * 1024
"""A process that holds more than this asks to be replaced."""
LONG_S = 0.005
"""After a call that took as long as this it is looked what it has left behind."""
WRITE_EVERY_S = 0.002
READ_BYTES = 1024 * 1024


class Worker:
    """The scripts that were given to this process, and the realms of some of them."""

    def __init__(self, prelude: str, statm: int) -> None:
        self._prelude = prelude
        self._statm = statm
        self._scripts: dict[int, dict[str, object]] = {}
        self._realms: OrderedDict[int, realms.Realm] = OrderedDict()
        self._answers: list[bytes] = []
        self._written = 0.0

    def serve(self) -> None:
        """Answer until nobody asks any more."""
        reader = frames.Frames()
        while data := os.read(0, READ_BYTES):
            for kind, number, body in reader.feed(data):
                self._take(kind, number, body)
                if time.monotonic() - self._written > WRITE_EVERY_S:
                    self._write()
            self._write()

    def _take(self, kind: int, number: int, body: bytes) -> None:
        if kind == frames.LOAD:
            self._scripts[number] = json.loads(body)
        elif kind == frames.DROP:
            self._scripts.pop(number, None)
            self._realms.pop(number, None)
        elif kind == frames.CHECK:
            self._answer(lambda: json.dumps(realms.Realm(json.loads(body), self._prelude).check()), -1)
        else:
            # The first four bytes say which script is called.
            script = int.from_bytes(body[:4], "little")
            self._answer(lambda: self._realm(script).call(body[4:].decode()), script)

    def _answer(self, work: Callable[[], str], script: int) -> None:
        """Do it, and put down what came of it and how many microseconds that took."""
        began = time.monotonic()
        kind, body = frames.DONE, b""
        try:
            body = work().encode()
        except realms.Failed as failed:
            if failed.spoilt:
                self._realms.pop(script, None)
            kind, body = frames.FAILED, _failure(failed.kind, str(failed))
        except (MemoryError, SystemError, TypeError, UnicodeError) as error:
            self._realms.pop(script, None)
            kind, body = frames.FAILED, _failure("memory" if isinstance(error, MemoryError) else "error", "")
        took = time.monotonic() - began
        self._answers.append(frames.frame(kind, int(took * 1_000_000) & 0xFFFFFFFF, body))
        if took > LONG_S:
            self._look(script)

    def _realm(self, number: int) -> realms.Realm:
        found = self._realms.get(number)
        if found is None:
            found = realms.Realm(self._scripts[number], self._prelude)
            self._realms[number] = found
            if len(self._realms) > MAX_REALMS:
                self._realms.popitem(last=False)
        self._realms.move_to_end(number)
        return found

    def _look(self, number: int) -> None:
        """Give back what a long call has left behind."""
        realm = self._realms.get(number)
        if realm is not None and realm.held_bytes() > MAX_HELD:
            del self._realms[number]
        if self._statm >= 0:
            pages = int(os.pread(self._statm, 100, 0).split()[1])
            if pages * 4096 > MAX_RESIDENT:
                self._answers.append(frames.frame(frames.RETIRED, 0))

    def _write(self) -> None:
        self._written = time.monotonic()
        data = memoryview(b"".join(self._answers))
        self._answers.clear()
        while data:
            data = data[os.write(1, data) :]


def _failure(kind: str, message: str) -> bytes:
    return json.dumps([kind, message]).encode()


def main() -> None:
    """Load everything, give everything up, say so, serve."""
    prelude = (HERE / "prelude.js").read_text(encoding="utf-8")
    statm = os.open("/proc/self/statm", os.O_RDONLY) if sys.platform == "linux" else -1
    worker = Worker(prelude, statm)
    realms.Realm({"source": "function process() {}", "outputs": [], "timeout_s": 1, "memory_mb": 8}, prelude)
    held = confine.confine(ADDRESS_SPACE, CPU_S)
    os.write(1, frames.frame(frames.READY, 0, json.dumps(held).encode()))
    worker.serve()


if __name__ == "__main__":
    main()
