"""Hashing and verifying passwords (Argon2id, RFC 9106): off the event loop, a few at a time, a bounded number waiting."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import unicodedata
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from argon2 import Parameters, Type, extract_parameters

from polis.identity.people import argon2id
from polis.proto import Refused
from polis.proto.problems import Overloaded

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

MEMORY_KIB = 19_456
ROUNDS = 2
_SALT_BYTES = 16
_PRESENT = Parameters(Type.ID, 19, _SALT_BYTES, 32, ROUNDS, MEMORY_KIB, 1)
_KEY_ROUNDS = 2
_KEY_MEMORY_KIB = 47_104
"""Of keys that passphrases give: never changed, since what lies under them could not be opened."""
_NICENESS = 5
"""Hashing threads yield to the event loop, which has 20 us of work where they have 20 ms."""
_SECONDS_EACH = 0.02
_MAX_BY_DEFAULT = 4
"""Threads that nobody asked for: 19 MiB each, and the other services want cores too."""

_DECOY = argon2id.encoded(os.urandom(_SALT_BYTES), os.urandom(32), rounds=ROUNDS, memory_kib=MEMORY_KIB)
"""Verified where there is no account, so that the answer takes as long as where there is one."""


class Hasher:
    """A bounded pool. Argon2id frees the interpreter while it works, so threads are enough."""

    def __init__(self, threads: int, queue: int) -> None:
        self._threads = threads or _cores()
        self._bound = self._threads + queue
        self._in_hand = 0
        self._argon2id = argon2id.best()
        self._pool = ThreadPoolExecutor(
            self._threads, thread_name_prefix="argon2", initializer=yield_to_others
        )

    async def hash(self, password: str) -> str:
        """The hash with its salt and parameters (PHC string). Refused(Overloaded) when too many wait."""
        return await self._run(lambda: _hash(_bytes(password), self._argon2id))

    async def verify(self, stored: str | None, password: str) -> bool:
        """Whether the password fits; for `None`, no account, it takes as long and does not. Refused as `hash`."""
        fits = await self._run(lambda: argon2id.fits(stored or _DECOY, _bytes(password), self._argon2id))
        return fits and stored is not None

    async def derive(self, passphrase: str, salt: bytes) -> bytes:
        """A key of 32 bytes that a passphrase gives. Refused as `hash`."""
        return await self._run(lambda: _key(_bytes(passphrase), salt, self._argon2id))

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._argon2id.rest()

    async def _run(self, work: Callable[[], T]) -> T:
        if self._in_hand >= self._bound:
            raise Refused(Overloaded(retry_after_s=round(self._in_hand * _SECONDS_EACH / self._threads, 1)))
        self._in_hand += 1
        loop = asyncio.get_running_loop()
        future = self._pool.submit(work)
        # Counted until the thread is free, which is later than a cancelled caller goes.
        future.add_done_callback(lambda done: _tell(loop, self._done, done))
        return await asyncio.wrap_future(future)

    def _done(self) -> None:
        self._in_hand -= 1
        if not self._in_hand:
            with suppress(RuntimeError):  # closed, which gave the memory back
                self._pool.submit(self._argon2id.rest)


def outdated(stored: str) -> bool:
    """Whether a stored hash was made with other parameters than the present ones."""
    return extract_parameters(stored) != _PRESENT


def _hash(password: bytes, raw: argon2id.Raw) -> str:
    salt = os.urandom(_SALT_BYTES)
    key = raw(password, salt, rounds=ROUNDS, memory_kib=MEMORY_KIB)
    return argon2id.encoded(salt, key, rounds=ROUNDS, memory_kib=MEMORY_KIB)


def _key(passphrase: bytes, salt: bytes, raw: argon2id.Raw) -> bytes:
    return raw(passphrase, salt, rounds=_KEY_ROUNDS, memory_kib=_KEY_MEMORY_KIB)


def _bytes(password: str) -> bytes:
    """NFKC, so that a password typed on another keyboard or system is the same one (NIST SP 800-63B 5.1.1.2)."""
    return unicodedata.normalize("NFKC", password).encode()


def _tell(loop: asyncio.AbstractEventLoop, done: Callable[[], None], _: Future[T]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(done)


def _cores() -> int:
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return min(cores, _MAX_BY_DEFAULT)


def yield_to_others() -> None:
    if sys.platform == "linux":  # elsewhere niceness is the whole process's
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
