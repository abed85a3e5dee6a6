"""What kind of mailbox a file is, and its mails as the bytes arrive: an mbox, or a maildir as tar, each also gzipped.

Memory is bounded by the largest mail that is kept, whatever the pieces and the size of the mailbox.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Protocol

from polis.runtime.component import StepFailed
from polis.runtime.components.mail.kept import Kept, RawMail
from polis.runtime.components.mail.mbox import MboxSplitter
from polis.runtime.components.mail.tar import Entry, TarSplitter

MAX_UNPACKED_BYTES = 1024 * 1024 * 1024
"""Bytes that a gzipped mailbox may unpack to."""
INFLATE_BYTES = 256 * 1024
SNIFF_BYTES = 512
"""What has to be there to know a tar; shorter files are judged at their end."""
_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
_LOOKS_LIKE = {
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
    _GZIP: "is compressed twice",
}


class _Splitter(Protocol):
    @property
    def kind(self) -> str: ...
    def feed(self, chunk: bytes, /) -> Iterator[RawMail]: ...
    def close(self) -> Iterator[RawMail]: ...


class Mailbox:
    """Feed it the file's bytes, then close it. Raises StepFailed `mailbox.*` when it is not a mailbox or empty."""

    def __init__(self, name: str, *, packed: bool = False) -> None:
        self._name = name
        self._packed = packed
        self._head = b""
        self._splitter: _Splitter | None = None
        self._found = False

    @property
    def kind(self) -> str:
        """`mbox`, `tar`, `mbox.gz` or `tar.gz`."""
        return self._splitter.kind if self._splitter else ""

    def feed(self, chunk: bytes) -> Iterator[RawMail]:
        if self._splitter is not None:
            yield from self._seen(self._splitter.feed(chunk))
            return
        self._head += chunk
        if len(self._head) >= SNIFF_BYTES:
            yield from self._begin()

    def close(self) -> Iterator[RawMail]:
        if self._splitter is None:
            yield from self._begin()
        if self._splitter is not None:
            yield from self._seen(self._splitter.close())
        if not self._found:
            raise StepFailed("mailbox.empty", f"{self._name!r} holds no mail")

    def _begin(self) -> Iterator[RawMail]:
        head, self._head = self._head, b""
        self._splitter = self._splitter_of(head)
        if isinstance(self._splitter, MboxSplitter):
            head = _first_line_on(head)
        yield from self._seen(self._splitter.feed(head))

    def _splitter_of(self, head: bytes) -> _Splitter:
        if _first_line_on(head).startswith(b"From "):
            return MboxSplitter(self._name)
        if TarSplitter.knows(head):
            return _TarMails(self._name)
        if head.startswith(_GZIP) and not self._packed:
            return _Gzipped(self._name)
        raise self._not_a_mailbox(head)

    def _seen(self, mails: Iterator[RawMail]) -> Iterator[RawMail]:
        for mail in mails:
            self._found = True
            yield mail

    def _not_a_mailbox(self, head: bytes) -> StepFailed:
        if not head.strip(_BOM + b"\r\n\t \0"):
            what = "holds nothing but white space" if head else "is empty (0 bytes)"
            return StepFailed("mailbox.empty", f"{self._name!r} {what}")
        known = (what for magic, what in _LOOKS_LIKE.items() if head.startswith(magic))
        return StepFailed(
            "mailbox.unreadable",
            f"{self._name!r} is no mailbox: an mbox begins with 'From ', a maildir comes as a tar archive; "
            f"this {next(known, f'begins with {head[:16]!r}')}",
        )


def _first_line_on(head: bytes) -> bytes:
    return head.removeprefix(_BOM).lstrip(b"\r\n")


class _Gzipped:
    """A mailbox in one or more gzip members (RFC 1952), inflated in bounded parts."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._inside = Mailbox(name, packed=True)
        self._stream = zlib.decompressobj(wbits=31)
        self._total = 0

    @property
    def kind(self) -> str:
        return f"{self._inside.kind}.gz"

    def feed(self, chunk: bytes) -> Iterator[RawMail]:
        for part in self._inflated(chunk):
            self._total += len(part)
            if self._total > MAX_UNPACKED_BYTES:
                raise StepFailed(
                    "mailbox.too_large", f"{self._name!r} unpacks to over {MAX_UNPACKED_BYTES} bytes"
                )
            yield from self._inside.feed(part)

    def close(self) -> Iterator[RawMail]:
        if not self._stream.eof:
            raise StepFailed("mailbox.unreadable", f"{self._name!r} ends in the middle of its gzip data")
        yield from self._inside.close()

    def _inflated(self, chunk: bytes) -> Iterator[bytes]:
        while chunk:
            if self._stream.eof:
                if not chunk.startswith(_GZIP):
                    return  # padding behind the last member
                self._stream = zlib.decompressobj(wbits=31)
            part = self._part(chunk)
            yield part
            while len(part) == INFLATE_BYTES and not self._stream.unconsumed_tail and not self._stream.eof:
                part = self._part(b"")  # all input is taken, but more output waits
                yield part
            chunk = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail

    def _part(self, chunk: bytes) -> bytes:
        try:
            return self._stream.decompress(chunk, INFLATE_BYTES)
        except zlib.error as error:
            raise StepFailed("mailbox.unreadable", f"{self._name!r} is damaged gzip data: {error}") from None


class _TarMails:
    """The files of a maildir (folders cur and new, at any depth), and files that end in .eml."""

    kind = "tar"

    def __init__(self, name: str) -> None:
        self._name = name
        self._tar = TarSplitter(name)
        self._mail: Kept | None = None
        self._files = self._mails = 0

    def feed(self, chunk: bytes) -> Iterator[RawMail]:
        for part in self._tar.feed(chunk):
            if isinstance(part, Entry):
                yield from self._ended()
                self._files += 1
                self._mail = Kept() if _is_mail(part.path) else None
            elif self._mail is not None:
                self._mail.add(part)

    def close(self) -> Iterator[RawMail]:
        self._tar.close()
        yield from self._ended()
        if not self._mails:
            raise StepFailed(
                "mailbox.empty",
                f"{self._name!r} holds no mail: of its {self._files} files none lies in a folder cur or new and none "
                "ends in .eml",
            )

    def _ended(self) -> Iterator[RawMail]:
        if self._mail is not None and self._mail.size:
            self._mails += 1
            yield self._mail.mail()
        self._mail = None


def _is_mail(path: str) -> bool:
    *folders, name = path.split("/")
    if name.startswith("."):
        return False
    return name.lower().endswith(".eml") or bool(folders and folders[-1] in ("cur", "new"))
