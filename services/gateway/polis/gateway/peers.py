"""Gateways beside this one: what each admits counts in the buckets of all, told at the end of every turn of the loop.

Nobody asks before admitting, so two gateways may together admit what arrives at both within one message's time too much.
A gateway that has just started knows nothing of before; one that is alone tells nobody.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import TYPE_CHECKING

import msgspec

from polis.bus import Disconnected
from polis.service.rounds import rounds

if TYPE_CHECKING:
    from collections.abc import Callable

    from polis.bus import Message
    from polis.gateway.buckets import Buckets
    from polis.service import Kernel

SUBJECT = "peer.gateway.taken"
"""Theirs alone by the broker's permissions: no other service can drain a bucket, or learn who is about."""
HELLO_S = 1.0
_GONE_S = 5.0
_MAX_KEYS = 2_000
"""Keys in one message, to stay far below what the broker takes."""

Taken = dict[str, dict[str, float]]


class Peers:
    """Shares the buckets of this process with its peers, by name."""

    def __init__(self, kernel: Kernel, *buckets: Buckets) -> None:
        self._kernel = kernel
        self._id = secrets.token_hex(8)
        self._buckets = {b.name: b for b in buckets}
        self._seen: dict[str, float] = {}
        self._taken: Taken = {}
        self._size = 0
        self._decoder = msgspec.json.Decoder(Taken)

    async def run(self) -> None:
        """Listen, and say that we are here, until the process ends."""
        await self._kernel.bus.subscribe(f"{SUBJECT}.*", self._on_message)
        await rounds("peers", self._hello, every_s=HELLO_S)

    async def _hello(self) -> None:
        self._publish({})
        now = time.monotonic()
        self._seen = {peer: at for peer, at in self._seen.items() if at > now - _GONE_S}
        self._count()

    def _count(self) -> None:
        for name, bucket in self._buckets.items():
            bucket.on_taken = self._collector(name) if self._seen else None
            bucket.share_with(len(self._seen))

    def _collector(self, name: str) -> Callable[[str, float], None]:
        def collect(key: str, seconds: float) -> None:
            taken = self._taken.setdefault(name, {})
            taken[key] = taken.get(key, 0.0) + seconds
            self._size += 1
            if self._size == 1:
                asyncio.get_running_loop().call_soon(self._flush)
            elif self._size >= _MAX_KEYS:
                self._flush()

        return collect

    def _flush(self) -> None:
        taken, self._taken, self._size = self._taken, {}, 0
        if taken:
            self._publish(taken)

    def _publish(self, taken: Taken) -> None:
        try:
            self._kernel.bus.publish(f"{SUBJECT}.{self._id}", msgspec.json.encode(taken))
        except Disconnected:
            return  # then nobody hears us, and requests cannot be served either

    def _on_message(self, message: Message) -> None:
        peer = message.subject.rpartition(".")[2]
        if peer == self._id:
            return
        if peer not in self._seen:
            self._seen[peer] = time.monotonic()
            self._count()
            self._publish({})
        self._seen[peer] = now = time.monotonic()
        try:
            taken = self._decoder.decode(message.payload)
        except msgspec.DecodeError:
            return  # of another version
        for name, keys in taken.items():
            if (bucket := self._buckets.get(name)) is not None:
                for key, seconds in keys.items():
                    bucket.taken_elsewhere(key, max(0.0, seconds), now)
