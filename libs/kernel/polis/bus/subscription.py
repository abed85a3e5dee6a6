"""Interest in a subject; it outlives connections until it is given up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from polis.bus import joined
from polis.bus.joined import Joint
from polis.bus.message import Message

if TYPE_CHECKING:
    from polis.bus.client import Bus

OnMessage = Callable[[Message], None]


class Subscription:
    """Made by `Bus.subscribe`. `refused` is what the server said against it."""

    __slots__ = ("_bus", "_on_message", "queue", "refused", "sid", "subject")

    def __init__(self, bus: Bus, sid: int, subject: str, queue: str, on_message: OnMessage) -> None:
        self._bus = bus
        self._on_message = on_message
        self.sid = sid
        self.subject = subject
        self.queue = queue
        self.refused = ""

    def unsubscribe(self) -> None:
        """Deliver nothing more, from now on."""
        self._bus.unsubscribe(self)

    async def drain(self, timeout_s: float) -> None:
        """Take no new messages, but deliver those that the server has sent already."""
        await self._bus.drain(self, timeout_s)

    def deliver(self, subject: bytes, reply: bytes, head: bytes, payload: bytes) -> None:
        """Called by the parser. A listener's fault must not end the connection of all, so the loop is told of it."""
        asked, back = str(subject, "utf-8", "replace"), str(reply, "utf-8", "replace")
        if head == joined.HEAD:
            self._take_apart(asked, back, payload)
        else:
            self._hand_over(Message(asked, back, payload, head))

    def _take_apart(self, subject: str, reply: str, body: bytes) -> None:
        """Each call as if it had come alone; answers that are ready together go back together."""
        base = reply[: reply.rfind(".") + 1]
        joint = Joint(lambda number: f"{base}{number}", lambda _: reply)
        try:
            parts = tuple(joined.split(body)) if base else ()
        except ValueError as error:
            self._failed(error)
            return
        for number, head, payload in parts:
            self._hand_over(Message(subject, f"{base}{number}", payload, head, joint, number))

    def _hand_over(self, message: Message) -> None:
        try:
            self._on_message(message)
        except Exception as error:  # noqa: BLE001 - reported, as the loop reports those of its own callbacks
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        context = {"message": f"listener of {self.subject} failed", "exception": error}
        asyncio.get_running_loop().call_exception_handler(context)
