"""Archives: what is in a zip or tar, and one file of it. Nothing is unpacked to a disk, and nothing beyond its bound."""

from __future__ import annotations

import io
import tarfile
import zipfile
import zlib
from collections.abc import Iterator

from polis.runtime.isolated.unfit import Unfit

MAX_UNPACKED = 1024 * 1024 * 1024
"""Bytes that a compressed tar may unpack to on the way to its end."""
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    EOFError,
    OSError,
    ValueError,
    NotImplementedError,
)

Entry = dict[str, object]


def entries(content: bytes, most: int) -> list[Entry]:
    """`name`, `size` and `kind` (file, folder, other) of everything in it."""
    found: list[Entry] = []
    try:
        for entry in _zipped(content) if content.startswith(_ZIP) else _tarred(content):
            if len(found) == most:
                raise Unfit("archive.too_many", f"more than {most:,} entries (max_entries)")
            found.append(entry)
    except _BROKEN as error:
        raise Unfit(
            "archive.none", f"this is no zip or tar that can be read ({type(error).__name__})"
        ) from None
    return found


def extract(content: bytes, name: str, most: int) -> bytes:
    """One file; Unfit when there is none of this name, or it is larger than the bound."""
    try:
        data = _from_zip(content, name, most) if content.startswith(_ZIP) else _from_tar(content, name, most)
    except RuntimeError:
        raise Unfit("archive.encrypted", "it opens with a password only") from None
    except _BROKEN as error:
        raise Unfit(
            "archive.none", f"this is no zip or tar that can be read ({type(error).__name__})"
        ) from None
    if data is None:
        raise Unfit("archive.unknown", f"it holds no file `{name:.200}`")
    if len(data) > most:
        raise Unfit("archive.too_large", f"the file is over {most:,} bytes (max_bytes)")
    return data


def _zipped(content: bytes) -> Iterator[Entry]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for info in archive.infolist():
            yield _entry(info.filename, info.file_size, "folder" if info.is_dir() else "file")


def _tarred(content: bytes) -> Iterator[Entry]:
    with tarfile.open(fileobj=_counted(content), mode="r|") as archive:
        for info in archive:
            kind = "file" if info.isreg() else "folder" if info.isdir() else "other"
            yield _entry(info.name, info.size, kind)


def _from_zip(content: bytes, name: str, most: int) -> bytes | None:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if name not in archive.NameToInfo or archive.getinfo(name).is_dir():
            return None
        with archive.open(name) as file:
            return file.read(most + 1)


def _from_tar(content: bytes, name: str, most: int) -> bytes | None:
    with tarfile.open(fileobj=_counted(content), mode="r|") as archive:
        for info in archive:
            if info.name == name and info.isreg() and (file := archive.extractfile(info)) is not None:
                return file.read(most + 1)
    return None


def _counted(content: bytes) -> _Counted:
    return _Counted(_inflated(content))


def _inflated(content: bytes) -> io.BufferedIOBase:
    import bz2
    import gzip
    import lzma

    raw = io.BytesIO(content)
    if content.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=raw)
    if content.startswith(b"BZh"):
        return bz2.BZ2File(raw)
    return lzma.LZMAFile(raw) if content.startswith(b"\xfd7zXZ\0") else raw


class _Counted(io.RawIOBase):
    """Reads on until the bound."""

    def __init__(self, inside: io.BufferedIOBase) -> None:
        self._inside = inside
        self._left = MAX_UNPACKED

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        part = self._inside.read(size)
        self._left -= len(part)
        if self._left < 0:
            raise Unfit("archive.too_large", f"it unpacks to over {MAX_UNPACKED:,} bytes")
        return part


def _entry(name: str, size: int, kind: str) -> Entry:
    return {"name": name.encode("utf-8", "replace").decode(), "size": size, "kind": kind}
