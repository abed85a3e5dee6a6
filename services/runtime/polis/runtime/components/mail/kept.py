"""As much of a mail as is worth holding while the rest of it streams by: long attachments shrink to their length."""

from __future__ import annotations

import re

from msgspec import Struct

MAX_MAIL_BYTES = 2 * 1024 * 1024
"""A mail is kept up to here, its shrunk attachments counted; what lies behind is lost, and the mail says so."""
MAX_RUN_BYTES = 128 * 1024
"""Of consecutive lines of base64 this much is kept: more than any text part has that somebody wrote."""
MAX_LINE_BYTES = 64 * 1024

_RUN = re.compile(rb"(?:[A-Za-z0-9+/]{4,998}={0,2}\r?\n)+")
_NO_DIGIT = re.compile(rb"[=\r\n]")
_MARK = re.compile(r"\n!elided (\d{1,12})\s*$")
_MARK_CHARS = 64


class RawMail(Struct, frozen=True):
    """The bytes of one mail as far as they are kept, its real size, and what the mailbox says of it."""

    content: bytes
    size: int
    cut: bool = False
    envelope: str = ""


class Kept:
    """Feed it the bytes of one mail in any pieces."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._room = MAX_MAIL_BYTES
        self._line = b""
        self._run = 0
        self._dropped = 0
        self.size = 0

    def add(self, data: bytes) -> None:
        self.size += len(data)
        if not self._room:
            return
        end = data.rfind(b"\n") + 1
        if end or len(self._line) + len(data) > MAX_LINE_BYTES:
            self._lines(self._line + data[:end])
            self._line = data[end:]
        else:
            self._line += data

    def mail(self, envelope: str = "") -> RawMail:
        self._lines(self._line)
        self._end_run()
        self._line = b""
        return RawMail(b"".join(self._parts), self.size, not self._room, envelope)

    def _lines(self, block: bytes) -> None:
        at = 0
        for run in _RUN.finditer(block):
            self._text(block[at : run.start()])
            kept = block[run.start() : min(run.end(), run.start() + MAX_RUN_BYTES - self._run)]
            self._store(kept)
            self._run += len(kept)
            behind = block[run.start() + len(kept) : run.end()]
            self._dropped += len(_NO_DIGIT.sub(b"", behind)) if behind else 0
            at = run.end()
        self._text(block[at:])

    def _text(self, text: bytes) -> None:
        if text:
            self._end_run()
            self._store(text)

    def _end_run(self) -> None:
        if self._dropped:
            self._store(b"\n!elided %d\n" % self._dropped)
        self._run = self._dropped = 0

    def _store(self, data: bytes) -> None:
        kept = data[: self._room]
        self._room -= len(kept)
        if kept:
            self._parts.append(kept)


def base64_size(payload: str) -> int:
    """Bytes that a base64 payload decodes to, with what was shrunk; counted, not decoded."""
    mark = _MARK.search(payload[-_MARK_CHARS:])
    own = payload[: len(payload) - len(mark[0])] if mark else payload
    digits = len(own) - sum(own.count(sign) for sign in "\r\n =")
    return (digits + (int(mark[1]) if mark else 0)) * 3 // 4
