"""Requests that await their reply. All replies of a process arrive under one wildcard subscription, told apart by number."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Any

from polis.bus.errors import BusError, BusTimeout, NoResponders
from polis.bus.message import Message
from polis.bus.timers import Slot, Wheel

OWN = "own"
"""Below `<prefix>.own` lie the subjects on which more than one reply is awaited."""
_NO_RESPONDERS = b"NATS/1.0 503"

Read = Callable[[Message], Any]
"""Turns a reply into the answer, or raises a BusError."""

_Waiting = tuple[asyncio.Future[Any], Slot, str, Read | None]


class Inbox:
    """Replies to `<prefix>.<nonce>.<number>`; the nonce keeps processes with the same prefix apart."""

    def __init__(self, prefix: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._base = prefix
        self.prefix = f"{prefix}.{secrets.token_hex(8)}."
        self.subject = f"{self.prefix}*"
        self._skip = len(self.prefix)
        self._wheel = Wheel(self._overdue)
        self._waiting: dict[int, _Waiting] = {}
        self._next = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def new_subject(self) -> str:
        """A subject for a subscription of its own. It cannot be guessed, and the wildcard does not cover it."""
        return f"{self._base}.{OWN}.{secrets.token_hex(16)}"

    def expect(self, subject: str, timeout_s: float, read: Read | None) -> tuple[int, asyncio.Future[Any]]:
        self._next = number = self._next + 1
        future: asyncio.Future[Any] = self._loop.create_future()
        self._waiting[number] = (future, self._wheel.add(number, timeout_s), subject, read)
        return number, future

    def forget(self, number: int) -> None:
        waiting = self._waiting.pop(number, None)
        if waiting is not None:
            waiting[1].pop(number, None)

    def receive(self, subject: bytes, reply: bytes, head: bytes, payload: bytes) -> None:
        """Hand a reply to whoever waits for it; one that nobody waits for any more is dropped."""
        try:
            number = int(subject[self._skip :])
            future, slot, asked, read = self._waiting.pop(number)
        except (KeyError, ValueError):
            return
        del slot[number]
        if future.done():
            return
        if head and not payload and head.startswith(_NO_RESPONDERS):
            future.set_exception(NoResponders(asked))
            return
        message = Message(subject.decode(), reply.decode(), payload, head)
        if read is None:
            future.set_result(message)
            return
        try:
            future.set_result(read(message))
        except BusError as error:
            future.set_exception(error)

    def fail(self, subject: str, error: type[BusError], reason: str) -> None:
        """End those who asked on this subject, or await their reply on it."""
        for number, (_, _, asked, _) in tuple(self._waiting.items()):
            if subject in (asked, f"{self.prefix}{number}"):
                self._end(number, error(reason))

    def fail_all(self, error: type[BusError], reason: str) -> None:
        for number in tuple(self._waiting):
            self._end(number, error(reason))

    def close(self) -> None:
        self._wheel.stop()

    def _overdue(self, number: int) -> None:
        future, _, asked, _ = self._waiting.pop(number)
        if not future.done():
            future.set_exception(BusTimeout(asked))

    def _end(self, number: int, error: BusError) -> None:
        future, slot, _, _ = self._waiting.pop(number)
        slot.pop(number, None)
        if not future.done():
            future.set_exception(error)
