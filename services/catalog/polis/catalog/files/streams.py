"""How many files are being read at this moment: a reader may be slow, and each takes one of the service's task slots."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from polis.proto import Refused
from polis.proto.problems import Overloaded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

_RETRY_AFTER_S = 1.0


class Streams:
    """Bounds open streams in all, and those of one org to half of that, so that no org reads the others out."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: Counter[UUID] = Counter()

    @contextmanager
    def one(self, org_id: UUID) -> Iterator[None]:
        """A stream of this org. Refused(Overloaded) when there are too many."""
        if self._open.total() >= self._limit or self._open[org_id] >= max(1, self._limit // 2):
            raise Refused(Overloaded(retry_after_s=_RETRY_AFTER_S))
        self._open[org_id] += 1
        try:
            yield
        finally:
            self._open[org_id] -= 1
            if not self._open[org_id]:
                del self._open[org_id]
