"""A word among the processes of a service, of what each keeps for itself: that it is not so any more, or that there is work.

Lossy, and so never the only way: what was not heard is found by the next look, as late as that may be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from polis.bus import BusError

if TYPE_CHECKING:
    from polis.bus import Message
    from polis.service.kernel import Kernel

Hear = Callable[[Sequence[UUID]], None]


class Word:
    """What it is about has ids, as those of orgs. hear: takes them, here and in the others; never waits."""

    def __init__(self, kernel: Kernel, name: str, hear: Hear) -> None:
        self._bus = kernel.bus
        self._subject = f"peer.{kernel.service}.{name}"
        self._hear = hear
        self._decoder = msgspec.json.Decoder(tuple[UUID, ...])
        kernel.tasks.start(self._listen(), name=self._subject)

    def tell(self, ids: Iterable[UUID] = ()) -> None:
        """What has committed."""
        told = tuple(ids)
        self._hear(told)
        with suppress(BusError):
            self._bus.publish(self._subject, msgspec.json.encode(told))

    async def _listen(self) -> None:
        with suppress(BusError):
            await self._bus.subscribe(self._subject, self._on_message)

    def _on_message(self, message: Message) -> None:
        with suppress(msgspec.DecodeError):  # of another version
            self._hear(self._decoder.decode(message.payload))
