"""A range of a file's bytes, out of the parts in which it lies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from polis.proto import Refused
from polis.proto.catalog import RangeOutside

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from polis.catalog.files.artifacts import Stored


class Range(Struct, frozen=True):
    """Bytes from `start` up to `stop` (not included) of a file in parts."""

    start: int
    stop: int
    part_bytes: int

    @property
    def first(self) -> int:
        return self.start // self.part_bytes

    @property
    def end(self) -> int:
        return -(-self.stop // self.part_bytes)

    async def cut(self, parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The range's bytes out of the parts from `first` up to `end`."""
        at = self.first * self.part_bytes
        async for part in parts:
            low, high = max(0, self.start - at), min(len(part), self.stop - at)
            yield part if (low, high) == (0, len(part)) else part[low:high]
            at += len(part)


def of(stored: Stored, offset: int, length: int | None) -> Range:
    """The range that is asked for, as far as the file has it. Refused(RangeOutside) when it begins behind its end."""
    if offset and offset >= stored.size:
        raise Refused(RangeOutside(size=stored.size))
    stop = stored.size if length is None else min(stored.size, offset + length)
    return Range(offset, stop, stored.part_bytes)
