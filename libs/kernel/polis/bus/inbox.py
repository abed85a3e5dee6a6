"""Requests that await their reply. All replies of a process arrive under one wildcard subscription, told apart by number."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from polis.bus.errors import BusError, BusTimeout, NoResponders
from polis.bus.message import Message
from polis.bus.subscription import Subscription
from polis.bus.timers import Wheel

if TYPE_CHECKING:
    from polis.bus.client import Bus

OWN = "own"
"""Below `<prefix>.own` lie the subjects on which more than one reply is awaited."""
_NO_RESPONDERS = b"NATS/1.0 503"

Read = Callable[[Message], Any]
"""Makes the answer of a reply, or raises what is wrong with it."""


class Taker(Protocol):
    """Takes a reply, or what comes instead of one: a future, or who would rather not wait a turn of the loop for it.

    It is called from within the parser, so it must not block, and must not raise.
    """

    def done(self) -> bool: ...

    def set_result(self, result: Any, /) -> None: ...

    def set_exception(self, exception: BaseException, /) -> None: ...


_Waiting = tuple[Taker, str, Read | None]


class Inbox(Subscription):
    """Replies to `<prefix>.<nonce>.<number>`; the nonce keeps processes with the same prefix apart."""

    __slots__ = ("_base", "_loop", "_skip", "_wheel", "prefix")

    def __init__(self, bus: Bus, sid: int, base: str) -> None:
        self.prefix = f"{base}.{secrets.token_hex(8)}."
        super().__init__(bus, sid, f"{self.prefix}*", "", _unused)
        self._base = base
        self._loop = asyncio.get_running_loop()
        self._skip = len(self.prefix)
        self._wheel: Wheel[_Waiting] = Wheel(_overdue)

    def __len__(self) -> int:
        return len(self._wheel)

    def new_subject(self) -> str:
        """A subject for a subscription of its own. It cannot be guessed, and the wildcard does not cover it."""
        return f"{self._base}.{OWN}.{secrets.token_hex(16)}"

    def expect(self, asked: str, timeout_s: float, read: Read | None) -> tuple[int, asyncio.Future[Any]]:
        """A number to end the reply subject with, and the future of the reply."""
        future: asyncio.Future[Any] = self._loop.create_future()
        return self._wheel.add((future, asked, read), timeout_s), future

    def expect_for(self, taker: Taker, asked: str, timeout_s: float) -> int:
        """A number to end the reply subject with; the taker gets the reply."""
        return self._wheel.add((taker, asked, None), timeout_s)

    def forget(self, number: int) -> None:
        self._wheel.pop(number)

    def deliver(self, subject: bytes, reply: bytes, head: bytes, payload: bytes) -> None:
        """Hand a reply to whoever waits for it; one that nobody waits for any more is dropped."""
        try:
            waiting = self._wheel.pop(int(subject[self._skip :]))
        except ValueError:
            return
        if waiting is None:
            return
        future, asked, read = waiting
        if future.done():
            return
        if head and not payload and head.startswith(_NO_RESPONDERS):
            future.set_exception(NoResponders(asked))
            return
        message = Message(asked, str(reply, "utf-8", "replace") if reply else "", payload, head)
        if read is None:
            future.set_result(message)
            return
        try:
            future.set_result(read(message))
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to who asked
            future.set_exception(error)

    def fail(self, subject: str, error: type[BusError], reason: str) -> None:
        """End those who asked on this subject, or who await their reply on it."""
        for number, (future, asked, _) in self._wheel.items():
            if subject in (asked, f"{self.prefix}{number}"):
                self._wheel.pop(number)
                _end(future, error(reason))

    def fail_all(self, error: type[BusError], reason: str) -> None:
        for number, (future, _, _) in self._wheel.items():
            self._wheel.pop(number)
            _end(future, error(reason))

    def close(self) -> None:
        self._wheel.stop()


def _overdue(waiting: _Waiting) -> None:
    future, asked, _ = waiting
    _end(future, BusTimeout(asked))


def _end(future: Taker, error: BusError) -> None:
    if not future.done():
        future.set_exception(error)


def _unused(_: Message) -> None:
    """Replies are handed to futures."""
