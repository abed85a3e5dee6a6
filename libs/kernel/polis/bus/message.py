"""A message as it came from the broker. Headers stay bytes until somebody reads them."""

from __future__ import annotations

from collections.abc import Mapping

_VERSION = b"NATS/1.0"
_STATUS = slice(len(_VERSION) + 1, len(_VERSION) + 4)


class Message:
    """One delivery. `head` is the raw header block, b"" when there is none."""

    __slots__ = ("_head", "_headers", "payload", "reply", "subject")

    def __init__(self, subject: str, reply: str, payload: bytes, head: bytes = b"") -> None:
        self.subject = subject
        self.reply = reply
        self.payload = payload
        self._head = head
        self._headers: Mapping[str, str] | None = None

    @property
    def headers(self) -> Mapping[str, str]:
        """Names keep their case; of a name that comes twice the last value counts."""
        if self._headers is None:
            self._headers = parse_headers(self._head) if self._head else {}
        return self._headers

    @property
    def status(self) -> int | None:
        """The broker's own code, as 503 when nobody listens; None on an ordinary message."""
        code = self._head[_STATUS]
        return int(code) if code.isdigit() else None

    @property
    def description(self) -> str:
        """The broker's words beside its status."""
        first = self._head.partition(b"\r\n")[0]
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
