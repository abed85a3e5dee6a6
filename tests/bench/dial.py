"""WebSockets that are opened and read by hand, one after the other, for loads that take them from there."""

from __future__ import annotations

import socket

_HANDSHAKE_S = 20.0


def masked(text: bytes) -> bytes:
    """A text frame with a mask that changes nothing."""
    size = len(text)
    head = bytes((0x81, 0x80 | size)) if size < 126 else b"\x81\xfe" + size.to_bytes(2, "big")
    return head + b"\0\0\0\0" + text


def dial(port: int, path: str, token: str = "", *, unread: int = 0) -> socket.socket:
    """A WebSocket that is open. unread: how much its kernel may hold for it, where that is not the kernel's own choice."""
    plain = socket.socket()
    plain.settimeout(_HANDSHAKE_S)
    if unread:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, unread)  # later it would not settle the window
    plain.connect(("127.0.0.1", port))
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        *([f"Authorization: Bearer {token}"] if token else []),
    ]
    plain.sendall("\r\n".join([*lines, "", ""]).encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += plain.recv(1)
    if b" 101 " not in head[:20]:
        raise RuntimeError(head.decode("latin-1"))
    return plain


def until(plain: socket.socket, word: bytes) -> bytes:
    """Read until this was said; all that was said by then."""
    heard = b""
    while word not in heard:
        data = plain.recv(1 << 16)
        if not data:
            raise RuntimeError(f"closed before {word!r} was said: {heard[-300:]!r}")
        heard += data
    return heard
