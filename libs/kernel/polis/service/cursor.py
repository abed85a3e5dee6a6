"""Opaque cursors: the last item's sort key, signed, so that a client can neither read meaning into it nor make one up."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import TypeVar

import msgspec

from polis.proto import Refused
from polis.proto.problems import StaleCursor

T = TypeVar("T")
_MAC_BYTES = 12


class Cursors:
    """Signs positions for one operation and org; a cursor of another list or org does not hold."""

    def __init__(self, secret: bytes) -> None:
        self._key = hashlib.sha256(b"polis cursor\0" + secret).digest()

    def encode(self, scope: str, position: object) -> str:
        body = msgspec.msgpack.encode(position)
        return base64.urlsafe_b64encode(self._mac(scope, body) + body).rstrip(b"=").decode()

    def decode(self, scope: str, cursor: str, kind: type[T]) -> T:
        """The position; Refused(StaleCursor) when it was not made by `encode` with the same scope and secret."""
        try:
            raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
            mac, body = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
            if hmac.compare_digest(mac, self._mac(scope, body)):
                return msgspec.msgpack.decode(body, type=kind)
        except (binascii.Error, ValueError, msgspec.DecodeError):
            pass
        raise Refused(StaleCursor())

    def _mac(self, scope: str, body: bytes) -> bytes:
        return hmac.digest(self._key, scope.encode() + b"\0" + body, "sha256")[:_MAC_BYTES]
