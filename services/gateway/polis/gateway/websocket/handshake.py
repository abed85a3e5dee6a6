"""The opening handshake, from the head of the request to the head of the answer (RFC 6455 4.2)."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_VERSION: Final = b"13"
_KEY_BYTES = 16
OTHER_VERSION = 426
SPOKEN: Final = (b"sec-websocket-version", _VERSION)
"""The header that tells a client of another version which one is spoken here (4.4)."""


class BadHandshake(Exception):
    """The request is no handshake that could be answered."""

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.status = status


def accept(method: str, headers: Mapping[bytes, bytes]) -> bytes:
    """The answer's Sec-WebSocket-Accept. BadHandshake."""
    if method != "GET":
        raise BadHandshake("a WebSocket opens with GET")
    if b"upgrade" not in _tokens(headers.get(b"connection", b"").lower()):
        raise BadHandshake("Connection does not say Upgrade")
    if headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers:
        raise BadHandshake("a handshake has no body")
    if headers.get(b"sec-websocket-version") != _VERSION:
        raise BadHandshake("Sec-WebSocket-Version 13 is spoken here", OTHER_VERSION)
    key = headers.get(b"sec-websocket-key", b"")
    if not _is_key(key):
        raise BadHandshake("Sec-WebSocket-Key is not 16 bytes in base64")
    return base64.b64encode(hashlib.sha1(key + _GUID).digest())  # noqa: S324 - RFC 6455 4.2.2 has it so; nothing is kept secret by it


def offered(headers: Mapping[bytes, bytes]) -> list[str]:
    """The subprotocols that the client would speak, in its order."""
    return [name.decode("latin-1") for name in _tokens(headers.get(b"sec-websocket-protocol", b""))]


def switching(accepted: bytes, subprotocol: str = "") -> bytes:
    """The head of the answer."""
    lines = [
        b"HTTP/1.1 101 Switching Protocols",
        b"upgrade: websocket",
        b"connection: Upgrade",
        b"sec-websocket-accept: " + accepted,
    ]
    if subprotocol:
        lines.append(b"sec-websocket-protocol: " + subprotocol.encode("latin-1"))
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _tokens(value: bytes) -> list[bytes]:
    return [token for token in (part.strip(b" \t") for part in value.split(b",")) if token]


def _is_key(value: bytes) -> bool:
    try:
        return len(base64.b64decode(value, validate=True)) == _KEY_BYTES
    except binascii.Error:
        return False
