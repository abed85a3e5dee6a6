"""Reads a tar archive as its bytes arrive (tarfile wants a file to read from): entries, then their bytes in parts."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator

from msgspec import Struct

from polis.runtime.component import StepFailed

BLOCK = 512
MAX_NAME_BYTES = 64 * 1024
"""Bytes of a PAX or GNU record that names the next entry."""
_NAMING = (tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME)


class Entry(Struct, frozen=True):
    """A file of the archive; its bytes follow."""

    path: str
    size: int


class TarSplitter:
    def __init__(self, name: str) -> None:
        self._name = name
        self._buffer = b""
        self._left = 0
        self._padding = 0
        self._wanted = False
        self._naming: bytes | None = None
        self._record = b""
        self._path = ""
        self._ended = False

    @staticmethod
    def knows(head: bytes) -> bool:
        """Whether these first bytes are a tar header: its checksum is right."""
        return len(head) >= BLOCK and _header(head[:BLOCK]) is not None

    def feed(self, chunk: bytes) -> Iterator[Entry | bytes]:
        """The entries that begin in what has arrived, each followed by its bytes in parts."""
        data, at = self._buffer + chunk, 0
        while not self._ended and at < len(data):
            if self._left:
                part = data[at : at + self._left]
                at += len(part)
                yield from self._body(part)
            elif self._padding:
                skipped = min(self._padding, len(data) - at)
                at, self._padding = at + skipped, self._padding - skipped
            elif len(data) - at >= BLOCK:
                at += BLOCK
                yield from self._begin(data[at - BLOCK : at])
            else:
                break
        self._buffer = data[at:]

    def close(self) -> None:
        if self._left or (self._buffer and not self._ended):
            raise StepFailed(
                "mailbox.unreadable", f"{self._name!r} ends in the middle of a file: the tar is cut off"
            )

    def _begin(self, block: bytes) -> Iterator[Entry]:
        if not block.strip(b"\0"):
            self._ended = True
            return
        info = _header(block)
        if info is None:
            raise StepFailed(
                "mailbox.unreadable", f"{self._name!r} is a damaged tar: a header's checksum is wrong"
            )
        self._left, self._padding = info.size, -info.size % BLOCK
        self._naming = info.type if info.type in _NAMING and info.size <= MAX_NAME_BYTES else None
        self._wanted = info.isreg()
        if self._wanted:
            yield Entry(self._path or info.name, info.size)
            self._path = ""

    def _body(self, part: bytes) -> Iterator[bytes]:
        self._left -= len(part)
        if self._wanted:
            yield part
        elif self._naming is not None:
            self._record += part
            if not self._left:
                self._path, self._record = _named(self._naming, self._record) or self._path, b""


def _header(block: bytes) -> tarfile.TarInfo | None:
    try:
        info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return None
    return info if info.size >= 0 else None


def _named(kind: bytes, record: bytes) -> str:
    if kind == tarfile.GNUTYPE_LONGNAME:
        return record.rstrip(b"\0").decode("utf-8", "replace")
    for line in record.split(b"\n"):  # PAX: `<length> path=<value>`
        _, _, setting = line.partition(b" ")
        if setting.startswith(b"path="):
            return setting.removeprefix(b"path=").decode("utf-8", "replace")
    return ""
