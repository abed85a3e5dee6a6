"""Requests that await their reply. All replies of a process arrive under one wildcard subscription, told apart by number."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from polis.bus import joined
from polis.bus.errors import BusError, BusTimeout, NoResponders
from polis.bus.joined import Joint
from polis.bus.message import Message
from polis.bus.subscription import Subscription
from polis.bus.timers import Wheel

if TYPE_CHECKING:
    from polis.bus.client import Bus

OWN = "own"
"""Below `<prefix>.own` lie the subjects on which more than one reply is awaited."""
_ANYBODY = "anybody"
_RPC = "rpc."
_JOINED = "j"
_REMEMBERED = 1_024
"""Joined calls of which it is known which they were: the broker says within a moment that nobody listens."""
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


class Way(NamedTuple):
    """How to ask on a subject: it and where replies go but for the number, and who waits for those who answer there.

    joint: the calls that go along, where they may.
    """

    asked: str
    address: str
    wheel: Wheel[_Waiting]
    joint: Joint | None


class Inbox(Subscription):
    """Replies to `<prefix>.<who answers>.<nonce>.<number>`; the nonce keeps processes with the same prefix apart.

    Who answers stands there so that a service can be let write to what it was asked by, and to nothing else: what it
    writes is looked for among the calls of that service only.
    """

    __slots__ = ("_base", "_count", "_loop", "_nonce", "_skip", "_together", "_wheels")

    def __init__(self, bus: Bus, sid: int, base: str) -> None:
        self._nonce = secrets.token_hex(8)
        super().__init__(bus, sid, f"{base}.*.{self._nonce}.*", "", _unused)
        self._base = base
        self._skip = len(base) + 1
        self._loop = asyncio.get_running_loop()
        self._wheels: dict[bytes, Wheel[_Waiting]] = {}
        self._together: dict[int, tuple[Wheel[_Waiting], list[int]]] = {}
        self._count = 0

    def __len__(self) -> int:
        return sum(map(len, self._wheels.values()))

    def new_subject(self) -> str:
        """A subject for a subscription of its own. It cannot be guessed, and the wildcard does not cover it."""
        return f"{self._base}.{OWN}.{secrets.token_hex(16)}"

    def way(self, subject: str) -> Way:
        """How to ask on a subject."""
        serves = subject.split(".")[1] if subject.startswith(_RPC) else _ANYBODY
        address = f"{subject} {self._base}.{serves}.{self._nonce}."
        wheel = self._wheels.setdefault(serves.encode(), Wheel(_overdue))
        if serves == _ANYBODY:
            return Way(subject, address, wheel, None)

        def together(numbers: list[int]) -> str:
            return f"{address}{_JOINED}{self._remember(wheel, numbers)}"

        return Way(subject, address, wheel, Joint(lambda number: f"{address}{number}", together))

    def _remember(self, wheel: Wheel[_Waiting], numbers: list[int]) -> int:
        self._count += 1
        self._together[self._count] = wheel, numbers
        self._together.pop(self._count - _REMEMBERED, None)
        return self._count

    def expect(self, way: Way, timeout_s: float, read: Read | None) -> tuple[int, asyncio.Future[Any]]:
        """A number to end the reply subject with, and the future of the reply."""
        future: asyncio.Future[Any] = self._loop.create_future()
        return way.wheel.add((future, way.asked, read), timeout_s), future

    def deliver(self, subject: bytes, reply: bytes, head: bytes, payload: bytes) -> None:
        """Hand a reply to whoever waits for it; one that nobody waits for any more is dropped."""
        skip = self._skip
        wheel = self._wheels.get(subject[skip : subject.find(b".", skip)])
        if wheel is None:
            return
        if head == joined.HEAD:
            try:
                parts = tuple(joined.split(payload))
            except ValueError as error:
                self._failed(error)
                return
            for number, own_head, own_payload in parts:
                _answered(wheel, number, b"", own_head, own_payload)
            return
        token = str(subject[subject.rfind(b".") + 1 :], "utf-8", "replace")
        if token.isdecimal():
            _answered(wheel, int(token), reply, head, payload)
        elif token.startswith(_JOINED) and token[1:].isdecimal():
            asked, numbers = self._together.get(int(token[1:]), (None, ()))
            for number in numbers if asked is wheel else ():
                _answered(wheel, number, reply, head, payload)

    def fail(self, subject: str, error: type[BusError], reason: str) -> None:
        """End those who asked on this subject, or who await their reply on it."""
        for wheel in self._wheels.values():
            for number, (future, asked, _) in wheel.items():
                if subject == asked or subject.endswith(f".{self._nonce}.{number}"):
                    wheel.pop(number)
                    _end(future, error(reason))

    def fail_all(self, error: type[BusError], reason: str) -> None:
        for wheel in self._wheels.values():
            for number, (future, _, _) in wheel.items():
                wheel.pop(number)
                _end(future, error(reason))

    def close(self) -> None:
        for wheel in self._wheels.values():
            wheel.stop()


def _answered(wheel: Wheel[_Waiting], number: int, reply: bytes, head: bytes, payload: bytes) -> None:
    waiting = wheel.pop(number)
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


def _overdue(waiting: _Waiting) -> None:
    future, asked, _ = waiting
    _end(future, BusTimeout(asked))


def _end(future: Taker, error: BusError) -> None:
    if not future.done():
        future.set_exception(error)


def _unused(_: Message) -> None:
    """Replies are handed to futures."""
