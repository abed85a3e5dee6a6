"""Argon2id with one lane (RFC 9106): this tree's native code where it was built and fits the processor, else argon2-cffi.

The native code is setup/native.sh's; it fills the memory, and what comes before and after is done here with hashlib.
Whichever it is gives the same hash: what one wrote, the other verifies.
"""

from __future__ import annotations

import ctypes
import hmac
import struct
import sys
import sysconfig
from base64 import b64decode, b64encode
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Protocol

from argon2 import Type, extract_parameters
from argon2.low_level import hash_secret_raw

BUILT = Path(sysconfig.get_path("platlib")) / "polis_argon2id.so"
_VERSION, _TYPE_ID = 0x13, 2
_BLOCK = 1024
_KNOWN = bytes.fromhex("9dfeb910e80bad0311fee20f9c0e2b12c17987b4cac90c2ef54d5b3021c68bfe")
"""password, somesalt, 2 rounds, 256 KiB, of the test vectors of Argon2's authors."""


class Raw(Protocol):
    """What both of them are: the bytes that a secret and a salt give. `rest` gives memory back that was kept for the next."""

    def __call__(
        self, secret: bytes, salt: bytes, *, rounds: int, memory_kib: int, length: int = 32
    ) -> bytes: ...

    def rest(self) -> None: ...


def best() -> Raw:
    """The native code where it can be used."""
    try:
        return Native()
    except (OSError, AttributeError):  # not there, or built of other code
        return Wheel()


class Wheel:
    """As argon2-cffi does it."""

    def __call__(
        self, secret: bytes, salt: bytes, *, rounds: int, memory_kib: int, length: int = 32
    ) -> bytes:
        return hash_secret_raw(secret, salt, rounds, memory_kib, 1, hash_len=length, type=Type.ID)

    def rest(self) -> None:
        pass


class Native:
    """As the native code does it. OSError says why it cannot be used: not built, another processor, a wrong answer.

    Fresh memory costs nearly half a hash more, so it is passed on from one hash to the next until somebody calls `rest`.
    """

    def __init__(self, built: Path = BUILT) -> None:
        self._kept: list[tuple[int, int]] = []
        self._library = ctypes.CDLL(str(built))
        if not self._library.argon2id_runs_here():
            raise OSError("this processor has no AVX-512")
        self._library.argon2id_memory.argtypes = (ctypes.c_uint32,)
        self._library.argon2id_memory.restype = ctypes.c_void_p
        self._library.argon2id_release.argtypes = (ctypes.c_void_p, ctypes.c_uint32)
        self._library.argon2id_fill.argtypes = (ctypes.c_void_p, ctypes.c_char_p, *[ctypes.c_uint32] * 2)
        if self(b"password", b"somesalt", rounds=2, memory_kib=256) != _KNOWN:
            raise OSError("it does not give the hash that it should")

    def __call__(
        self, secret: bytes, salt: bytes, *, rounds: int, memory_kib: int, length: int = 32
    ) -> bytes:
        if rounds < 1 or memory_kib < 8:
            raise ValueError("Argon2 wants one round and 8 KiB at least")
        seed = _seed(secret, salt, rounds=rounds, memory_kib=memory_kib, length=length)
        first = (_long(seed + struct.pack("<II", n, 0), _BLOCK) for n in (0, 1))
        ends = ctypes.create_string_buffer(b"".join(first), 3 * _BLOCK)
        self._fill(ends, memory_kib // 4 * 4, rounds)
        return _long(ends.raw[2 * _BLOCK :], length)

    def rest(self) -> None:
        # Other threads take from it too: `pop` alone tells who has a piece.
        with suppress(IndexError):
            while True:
                self._library.argon2id_release(*self._kept.pop())

    def _fill(self, ends: ctypes.Array[ctypes.c_char], blocks: int, rounds: int) -> None:
        memory = self._taken(blocks)
        # ctypes frees the interpreter while this runs.
        self._library.argon2id_fill(memory, ends, blocks, rounds)
        self._kept.append((memory, blocks))

    def _taken(self, blocks: int) -> int:
        try:
            memory, size = self._kept.pop()
        except IndexError:
            pass
        else:
            if size == blocks:
                return memory
            self._library.argon2id_release(memory, size)
        found: int | None = self._library.argon2id_memory(blocks)
        if found is None:
            raise MemoryError
        return found


def encoded(salt: bytes, key: bytes, *, rounds: int, memory_kib: int) -> str:
    """A hash as it is stored, with its salt and parameters (PHC string)."""
    return f"$argon2id$v={_VERSION}$m={memory_kib},t={rounds},p=1${_base64(salt)}${_base64(key)}"


def fits(stored: str, secret: bytes, raw: Raw) -> bool:
    """Whether a secret gives a stored hash, in the parameters that it names. ValueError when it is none of these."""
    wanted = extract_parameters(stored)
    if (wanted.type, wanted.version, wanted.parallelism) != (Type.ID, _VERSION, 1):
        raise ValueError("not a hash of Argon2id with one lane")
    salt, key = (_bytes(part) for part in stored.split("$")[4:6])
    found = raw(secret, salt, rounds=wanted.time_cost, memory_kib=wanted.memory_cost, length=len(key))
    return hmac.compare_digest(key, found)


def _seed(secret: bytes, salt: bytes, *, rounds: int, memory_kib: int, length: int) -> bytes:
    """H0 of section 3.2; no key and no associated data."""
    numbers = struct.pack("<6I", 1, length, memory_kib, rounds, _VERSION, _TYPE_ID)
    parts = (struct.pack("<I", len(part)) + part for part in (secret, salt, b"", b""))
    return blake2b(numbers + b"".join(parts)).digest()


def _long(data: bytes, length: int) -> bytes:
    """H' of section 3.3: BLAKE2b of any length, by halves of its chained digests."""
    data = struct.pack("<I", length) + data
    halves = b""
    while length - len(halves) > 64:
        data = blake2b(data).digest()
        halves += data[:32]
    return halves + blake2b(data, digest_size=length - len(halves)).digest()


def _base64(data: bytes) -> str:
    return b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return b64decode(text + "=" * (-len(text) % 4), validate=True)


def main() -> int:
    """What setup/native.sh asks: whether a library that it has built can be used."""
    try:
        Native(Path(sys.argv[1]))
    except (OSError, AttributeError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
