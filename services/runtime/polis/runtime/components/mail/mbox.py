"""Takes an mbox apart (mboxo, mboxrd, and what writers do instead) as its bytes arrive.

A line `From ` begins a mail when two of three hold: a blank line before it, a date in it, a mail header behind it. That
reads mailboxes whose writer quoted nothing, left the blank line out or wrote no date (RFC 4155, appendix A).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec.structs import replace

from polis.runtime.component import StepFailed
from polis.runtime.components.mail.kept import MAX_LINE_BYTES, Kept, RawMail

MAX_SEPARATOR_BYTES = 300

_CANDIDATE = re.compile(rb"^From [^\n]*\n", re.MULTILINE)
_DATED = re.compile(rb"^From [^:]{0,200}\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? [^:]{0,40}\b\d{1,2}:\d{2}")
_HEADER = re.compile(
    rb"(?:Return-Path|Received|Delivered-To|Envelope-To|From|To|Cc|Date|Subject|Message-ID|MIME-Version|Content-Type"
    rb"|Reply-To|Sender|Status|DKIM-Signature|Authentication-Results|ARC-[\w-]+|X-[\w-]+|List-[\w-]+):",
    re.IGNORECASE,
)
_QUOTED_FROM = re.compile(rb"^>(>*From )", re.MULTILINE)
_BLANK_END = (b"\n\n", b"\n\r\n")
_BLANK = (b"\n", b"\r\n")


class MboxSplitter:
    """Feed it bytes in any pieces; the mails do not depend on where those were cut."""

    kind = "mbox"

    def __init__(self, name: str) -> None:
        self._name = name
        self._partial = b""
        self._held = b""
        self._in_line = False
        self._after_blank = True
        self._envelope: bytes | None = None
        self._mail = Kept()

    def feed(self, chunk: bytes) -> Iterator[RawMail]:
        data = self._partial + chunk
        end = data.rfind(b"\n") + 1
        self._partial = data[end:]
        if end:
            block, self._held = self._held + data[:end], b""
            yield from self._lines(block, last=False)
        if len(self._partial) > MAX_LINE_BYTES:
            held, self._held = self._held, b""
            yield from self._lines(held, last=True)
            self._mail.add(self._partial)
            self._partial, self._in_line = b"", True

    def close(self) -> Iterator[RawMail]:
        rest, self._held, self._partial = self._held + self._partial, b"", b""
        yield from self._lines(rest if rest.endswith(b"\n") or not rest else rest + b"\n", last=True)
        if self._envelope is not None:
            yield self._done()

    def _lines(self, block: bytes, *, last: bool) -> Iterator[RawMail]:
        """Whole lines. A candidate at the end is held until the line behind it is here, unless there is none."""
        at = 0
        for line in _CANDIDATE.finditer(block):
            if line.start() == 0 and self._in_line:
                continue
            if line.end() == len(block) and not last:
                self._held, block = line[0], block[: line.start()]
                break
            if self._begins_mail(block, line):
                self._mail.add(block[at : line.start()])
                if self._envelope is not None:
                    yield self._done()
                self._envelope, at = line[0].rstrip(b"\r\n"), line.end()
        self._mail.add(block[at:])
        if block:
            self._after_blank = block.endswith(_BLANK_END) or (block in _BLANK and not self._in_line)
            self._in_line = False

    def _begins_mail(self, block: bytes, line: re.Match[bytes]) -> bool:
        dated = len(line[0]) <= MAX_SEPARATOR_BYTES and _DATED.match(line[0]) is not None
        headed = _HEADER.match(block, line.end()) is not None
        if self._envelope is not None:
            return self._blank_before(block, line.start()) + dated + headed >= 2
        if dated or headed:
            return True
        raise StepFailed(
            "mailbox.unreadable",
            f"{self._name!r} begins with 'From ', but neither a date nor a mail header follows",
        )

    def _blank_before(self, block: bytes, at: int) -> bool:
        if at == 0:
            return self._after_blank
        before = block[max(0, at - 3) : at]
        return before.endswith(_BLANK_END) or (at <= 2 and before in _BLANK and not self._in_line)

    def _done(self) -> RawMail:
        envelope = (self._envelope or b"")[:MAX_SEPARATOR_BYTES].decode("ascii", "replace")
        raw, self._mail = self._mail.mail(envelope), Kept()
        if b">From " not in raw.content:
            return raw
        return replace(raw, content=_QUOTED_FROM.sub(rb"\1", raw.content))
