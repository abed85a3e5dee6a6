"""What the catalog resolved for a caller, kept for a moment: until it changes, or until nobody would vouch for it any more.

Changes in the caller's own org are told by the catalog before it answers who made them, so who activates a version and
then starts a run gets that version. Another org's public resources, and rights that were taken, count within `TTL_S`.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Hashable
from typing import TYPE_CHECKING, Generic, TypeVar

from msgspec import Struct

if TYPE_CHECKING:
    from uuid import UUID

    from polis.service import Actor

V = TypeVar("V")
TTL_S = 5.0
_KEPT = 4096
_ORGS = 10_000


class Changes:
    """How often each org's resources have changed, as far as this process has heard."""

    def __init__(self) -> None:
        self._count: dict[str, int] = {}
        self._all = 0

    def of(self, org_id: UUID) -> tuple[int, int]:
        return self._all, self._count.get(str(org_id), 0)

    def heard(self, subject: str) -> None:
        """One of them: `now.catalog.<fact>.<org>.<resource>`."""
        org = subject.split(".")[3]
        if len(self._count) >= _ORGS:
            self.missed()
        self._count[org] = self._count.get(org, 0) + 1

    def missed(self) -> None:
        """Some may not have been heard: nothing that is kept counts."""
        self._all += 1
        self._count.clear()


class _Kept(Struct, Generic[V]):
    value: V
    until: float
    state: tuple[int, int]


class Remembered(Generic[V]):
    """Values by caller and name. A caller is a token: what it may see does not change while it holds."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._kept: OrderedDict[Hashable, _Kept[V]] = OrderedDict()
        """The one that is kept longest comes first: with what each holds, those that count no more are not to wait for others."""

    def get(self, actor: Actor, name: Hashable) -> V | None:
        kept = self._kept.get((actor.token, actor.org_id, name))
        if kept is None or kept.until <= time.monotonic() or kept.state != self._changes.of(actor.org_id):
            return None
        return kept.value

    def begin(self, actor: Actor) -> tuple[int, int]:
        """Before the catalog is asked: what changes meanwhile makes its answer an old one."""
        return self._changes.of(actor.org_id)

    def keep(self, actor: Actor, name: Hashable, value: V, begun: tuple[int, int]) -> None:
        key, now = (actor.token, actor.org_id, name), time.monotonic()
        self._kept[key] = _Kept(value, now + TTL_S, begun)
        self._kept.move_to_end(key)
        while len(self._kept) > _KEPT or next(iter(self._kept.values())).until <= now:
            self._kept.popitem(last=False)
