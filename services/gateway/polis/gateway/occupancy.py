"""How many live connections are open: in all, of one principal, from one site."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from typing import TYPE_CHECKING, TypeVar

from polis.proto import Refused
from polis.proto.problems import Overloaded

if TYPE_CHECKING:
    from uuid import UUID

    from polis.gateway.config import GatewaySettings

K = TypeVar("K", bound=Hashable)

_RETRY_S = 5.0


class Occupancy:
    """Counts those that have come and not left."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        self._total = 0
        self._principals: Counter[UUID] = Counter()
        self._sites: Counter[str] = Counter()

    def take(self, principal_id: UUID, site: str) -> None:
        """Refused(Overloaded) when there is no room."""
        s = self._settings
        if (
            self._total >= s.sockets
            or self._principals[principal_id] >= s.sockets_per_principal
            or self._sites[site] >= s.sockets_per_address
        ):
            raise Refused(Overloaded(retry_after_s=_RETRY_S))
        self._total += 1
        self._principals[principal_id] += 1
        self._sites[site] += 1

    def leave(self, principal_id: UUID, site: str) -> None:
        self._total -= 1
        _less(self._principals, principal_id)
        _less(self._sites, site)


def _less(counter: Counter[K], key: K) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]  # a counter would keep everybody who ever came
