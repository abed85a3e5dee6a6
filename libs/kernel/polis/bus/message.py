"""A message as it came from the broker. Headers stay bytes until somebody reads them."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from polis.bus.joined import Joint

_VERSION = b"NATS/1.0"
_STATUS = slice(len(_VERSION) + 1, len(_VERSION) + 4)


class Message(msgspec.Struct, gc=False):
    """One delivery. `subject` is what it was sent to; on a reply, what was asked. `head` is the raw header block.

    joint, number: how to answer what came joined with others.
    """

    subject: str
    reply: str
    payload: bytes
    head: bytes = b""
    joint: Joint | None = None
    number: int = 0
    _headers: dict[str, str] | None = None

    @property
    def headers(self) -> Mapping[str, str]:
        """Names keep their case; of a name that comes twice the last value counts."""
        if self._headers is None:
            self._headers = parse_headers(self.head) if self.head else {}
        return self._headers

    @property
    def status(self) -> int | None:
        """The broker's own code, as 503 when nobody listens; None on an ordinary message."""
        code = self.head[_STATUS]
        return int(code) if code.isdigit() else None

    @property
    def description(self) -> str:
        """The broker's words beside its status."""
        first = self.head.partition(b"\r\n")[0]
        return first[_STATUS.stop :].decode("utf-8", "replace").strip()

    def __repr__(self) -> str:
        return f"Message({self.subject!r}, reply={self.reply!r}, {len(self.payload)} bytes)"


def parse_headers(head: bytes) -> dict[str, str]:
    """Names and values of a header block; its first line (version and status) is not one of them."""
    headers = {}
    for line in head.decode("utf-8", "replace").split("\r\n")[1:]:
        name, colon, value = line.partition(":")
        if colon:
            headers[name] = value.strip()
    return headers
