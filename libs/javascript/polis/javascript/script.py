"""What is run: a script, a call of it, and how a call fails."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from functools import lru_cache

import msgspec
from msgspec import Struct

_encode = msgspec.json.Encoder().encode


class Script(Struct, frozen=True):
    """The source of a component, and its bounds.

    owner: scripts of different owners never share a realm. outputs: the ports that it may emit to.
    timeout_s: of the processor's time, for one call.
    """

    owner: str
    source: str
    outputs: tuple[str, ...] = ()
    timeout_s: float = 1.0
    memory_mb: int = 32

    @property
    def key(self) -> tuple[str, bytes]:
        """What a realm belongs to: one owner and one source with its bounds."""
        return self.owner, _digest(self.source, (self.timeout_s, self.memory_mb, self.outputs))


class Call(Struct, frozen=True):
    """One message for a script. The same key and time give the same chance, so a repeated call gives the same answer."""

    port: str | None
    value: object
    config: Mapping[str, object] = {}
    key: str = ""
    now_ms: int = 0
    salt: bytes = b""

    def encoded(self) -> bytes:
        """As the worker reads it. TypeError when the value is no JSON."""
        seed = hashlib.sha256(self.salt + self.key.encode()).digest()
        words = struct.unpack_from("<IIII", seed)
        return _encode((self.port, self.value, self.config, self.key, self.now_ms, words))


class ScriptFailed(Exception):
    """Why a call has no result. `kind`: `error` (the script's own), `timeout`, `memory`, `stack`, `invalid`, `killed`."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@lru_cache(maxsize=1024)
def _digest(source: str, bounds: object) -> bytes:
    return hashlib.sha256(f"{bounds}\n{source}".encode()).digest()
