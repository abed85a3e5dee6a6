"""Takes a mailbox apart as its bytes arrive: mbox (mboxo and mboxrd) and a maildir packed as tar, each also gzipped.

Memory is bounded by the largest mail that is kept, whatever the chunks and the size of the mailbox.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator
from typing import Protocol

from msgspec import Struct

from polis.runtime.component import StepFailed
from polis.runtime.components.mail.tar import Entry, TarSplitter

MAX_MAIL_BYTES = 8 * 1024 * 1024
"""A mail is kept up to here; what lies behind, usually an attachment's content, is counted only."""
MAX_UNPACKED_BYTES = 1024 * 1024 * 1024
"""Bytes that a gzipped mailbox may unpack to."""
INFLATE_BYTES = 256 * 1024
SNIFF_BYTES = 512
"""What has to be there to know a tar; shorter files are judged at their end."""
MAX_LINE_BYTES = 64 * 1024
MAX_SEPARATOR_BYTES = 300

_WEEKDAY = rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_CANDIDATE = re.compile(rb"^From [^\n]*\n", re.MULTILINE)
_DATED = re.compile(rb"^From (?:\S+ +)?[^:]{0,200}\b" + _WEEKDAY + rb",? [^:]{0,40}\b\d{1,2}:\d{2}")
_HEADER = re.compile(
    rb"(?:Return-Path|Received|Delivered-To|Envelope-To|From|To|Cc|Date|Subject|Message-ID|MIME-Version|Content-Type"
    rb"|Reply-To|Sender|Status|DKIM-Signature|Authentication-Results|ARC-[\w-]+|X-[\w-]+|List-[\w-]+):",
    re.IGNORECASE,
)
_QUOTED_FROM = re.compile(rb"^>(>*From )", re.MULTILINE)
_BLANK_END = (b"\n\n", b"\n\r\n")
_BLANK = (b"\n", b"\r\n")


class RawMail(Struct, frozen=True):
    """The bytes of one mail, as far as they are kept, and what the mailbox says of it."""

    content: bytes
    size: int
    envelope: str = ""

    @property
    def cut(self) -> bool:
        return self.size > len(self.content)


class _Splitter(Protocol):
    kind: str

    def feed(self, chunk: bytes) -> Iterator[RawMail]: ...
    def close(self) -> Iterator[RawMail]: ...


class Mailbox:
    """Feed it the file's bytes, then close it. Raises StepFailed `mailbox.*` when it is not a mailbox."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._head = b""
        self._splitter: _Splitter | None = None
        self._inflater: _Inflater | None = None
        self._found = False

    @property
    def kind(self) -> str:
        kind = self._splitter.kind if self._splitter else ""
        return f"{kind}.gz" if self._inflater else kind

    def feed(self, chunk: bytes) -> Iterator[RawMail]:
        for part in self._unpacked(chunk):
            yield from self._split(part)

    def close(self) -> Iterator[RawMail]:
        if self._splitter is None:
            yield from self._begin(self._head)
        if self._splitter is not None:
            yield from self._seen(self._splitter.close())
        if self._inflater and not self._inflater.ended:
            raise StepFailed("mailbox.unreadable", f"{self._name!r} ends in the middle of its gzip data")
        if not self._found:
            raise StepFailed("mailbox.empty", f"{self._name!r} holds no mail{self._hint()}")

    def _hint(self) -> str:
        if isinstance(self._splitter, _TarMails):
            return f": {self._splitter.files} files, none of them in a folder cur or new, none ending in .eml"
        return ""

    def _unpacked(self, chunk: bytes) -> Iterable[bytes]:
        if self._inflater is None and self._splitter is None:
            self._head += chunk
            if len(self._head) >= 2 and self._head.startswith(b"\x1f\x8b"):
                self._inflater = _Inflater(self._name)
                chunk, self._head = self._head, b""
            else:
                chunk, self._head = self._head, b""
        return self._inflater.feed(chunk) if self._inflater else (chunk,)

    def _split(self, part: bytes) -> Iterator[RawMail]:
        if self._splitter is None:
            self._head += part
            if len(self._head) >= SNIFF_BYTES:
                yield from self._begin(self._head)
        else:
            yield from self._seen(self._splitter.feed(part))

    def _begin(self, head: bytes) -> Iterator[RawMail]:
        start = head.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n")
        if start.startswith(b"From "):
            self._splitter, head = _MboxMails(self._name), start
        elif TarSplitter.knows(head):
            self._splitter = _TarMails(self._name)
        else:
            raise self._not_a_mailbox(head)
        self._head = b""
        yield from self._seen(self._splitter.feed(head))

    def _seen(self, mails: Iterator[RawMail]) -> Iterator[RawMail]:
        for mail in mails:
            self._found = True
            yield mail

    def _not_a_mailbox(self, head: bytes) -> StepFailed:
        if not head.strip(b"\xef\xbb\xbf\r\n\t \0"):
            what = "is empty (0 bytes)" if not head else "holds nothing but white space"
            return StepFailed("mailbox.empty", f"{self._name!r} {what}")
        return StepFailed(
            "mailbox.unreadable",
            f"{self._name!r} is no mailbox: an mbox begins with 'From ', a maildir comes as a tar archive; "
            f"this {_looks_like(head)}",
        )


_MAGIC = {
    b"PK\x03\x04": "is a zip archive",
    b"%PDF": "is a PDF",
    b"!BDN": "is an Outlook data file (.pst)",
    b"\xd0\xcf\x11\xe0": "is an Outlook message or another old Office file",
    b"\xff\xfe": "is UTF-16 text",
    b"\xfe\xff": "is UTF-16 text",
    b"BZh": "is compressed with bzip2",
    b"\xfd7zXZ": "is compressed with xz",
    b"\x28\xb5\x2f\xfd": "is compressed with zstd",
    b"7z\xbc\xaf": "is a 7-Zip archive",
}


def _looks_like(head: bytes) -> str:
    for magic, what in _MAGIC.items():
        if head.startswith(magic):
            return what
    return f"begins with {head[:16]!r}"


class _Inflater:
    def __init__(self, name: str) -> None:
        self._name = name
        self._stream = zlib.decompressobj(wbits=31)
        self._total = 0
        self.ended = False

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        while chunk:
            if self._stream.eof:  # the next of several members
                if not chunk.startswith(b"\x1f\x8b"):
                    return
                self._stream = zlib.decompressobj(wbits=31)
            try:
                part = self._stream.decompress(chunk, INFLATE_BYTES)
            except zlib.error as error:
                raise StepFailed(
                    "mailbox.unreadable", f"{self._name!r} is damaged gzip data: {error}"
                ) from None
            self._total += len(part)
            if self._total > MAX_UNPACKED_BYTES:
                raise StepFailed(
                    "mailbox.too_large", f"{self._name!r} unpacks to over {MAX_UNPACKED_BYTES} bytes"
                )
            chunk = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
            self.ended = self._stream.eof
            yield part


class _Kept:
    """The start of a mail up to the bound, and how long it really is."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._room = MAX_MAIL_BYTES
        self.size = 0

    def add(self, data: bytes) -> None:
        self.size += len(data)
        if self._room:
            kept = data[: self._room]
            self._room -= len(kept)
            self._parts.append(kept)

    def content(self) -> bytes:
        return b"".join(self._parts)


class _MboxMails:
    """A line `From ` begins a mail when two of three hold: a blank line before it, a date in it, a header behind it.

    That reads mailboxes whose writer quoted nothing, left the blank line out or wrote no date (RFC 4155 section 2,
    and what writers do instead).
    """

    kind = "mbox"

    def __init__(self, name: str) -> None:
        self._name = name
        self._buffer = b""
        self._held = b""
        self._in_line = False
        self._after_blank = True
        self._envelope: bytes | None = None
        self._mail = _Kept()

    def feed(self, chunk: bytes) -> Iterator[RawMail]:
        self._buffer += chunk
        end = self._buffer.rfind(b"\n") + 1
        block, self._buffer = self._buffer[:end], self._buffer[end:]
        if block:
            block, self._held = self._held + block, b""
            yield from self._lines(block, last=False)
        if len(self._buffer) > MAX_LINE_BYTES:
            yield from self._lines(self._held, last=True)
            self._mail.add(self._buffer)
            self._held, self._buffer, self._in_line = b"", b"", True

    def close(self) -> Iterator[RawMail]:
        rest, self._held, self._buffer = self._held + self._buffer, b"", b""
        yield from self._lines(rest if rest.endswith(b"\n") or not rest else rest + b"\n", last=True)
        if self._envelope is not None:
            yield self._done()

    def _lines(self, block: bytes, *, last: bool) -> Iterator[RawMail]:
        at = 0
        for line in _CANDIDATE.finditer(block):
            if line.start() == 0 and self._in_line:
                continue
            if line.end() == len(block) and not last:
                self._held = line[0]  # judged when the line behind it is here
                block = block[: line.start()]
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
        mail, self._mail = self._mail, _Kept()
        content = mail.content()
        if b">From " in content:
            unquoted = _QUOTED_FROM.sub(rb"\1", content)
            return RawMail(unquoted, mail.size - len(content) + len(unquoted), self._from())
        return RawMail(content, mail.size, self._from())

    def _from(self) -> str:
        return (self._envelope or b"")[:MAX_SEPARATOR_BYTES].decode("ascii", "replace")


class _TarMails:
    """The files of a maildir (folders cur and new, at any depth), and files that end in .eml."""

    kind = "tar"

    def __init__(self, name: str) -> None:
        self._tar = TarSplitter(name)
        self._mail: _Kept | None = None
        self.files = 0

    def feed(self, chunk: bytes) -> Iterator[RawMail]:
        for part in self._tar.feed(chunk):
            if isinstance(part, Entry):
                yield from self._ended()
                self.files += 1
                self._mail = _Kept() if _is_mail(part.path) else None
            elif self._mail is not None:
                self._mail.add(part)

    def close(self) -> Iterator[RawMail]:
        self._tar.close()
        yield from self._ended()

    def _ended(self) -> Iterator[RawMail]:
        if self._mail is not None and self._mail.size:
            yield RawMail(self._mail.content(), self._mail.size)
        self._mail = None


def _is_mail(path: str) -> bool:
    *folders, name = path.split("/")
    if name.startswith("."):
        return False
    return name.lower().endswith(".eml") or bool(folders and folders[-1] in ("cur", "new"))
