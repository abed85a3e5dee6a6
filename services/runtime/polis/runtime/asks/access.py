"""Who may answer which ask: whom it is addressed to, less those whom its run is of where it says so. Asked of identity each time."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from polis.proto import Refused
from polis.proto.identity import GetStanding, PrincipalNotFound
from polis.proto.runtime import ANSWERS
from polis.service import Context
from polis.service.access import matches

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from polis.proto.identity import Opened, Standing
    from polis.runtime.own import Own
    from polis.service import EventContext

_GRANT = "grant:"


class Answerer(Struct, frozen=True):
    """Somebody who would answer. `opened`: resources that grants of answering open; `makers`: who made it, if it is an agent.

    second_factor: this one acts in sessions with a second factor alone, so by no link.
    """

    id: UUID
    role: str
    opened: tuple[Opened, ...] = ()
    makers: tuple[UUID, ...] = ()
    second_factor: bool = False

    @property
    def selves(self) -> list[UUID]:
        """Who it is, and whose agent: for asks that are not to be answered by whom their run is of."""
        return [self.id, *self.makers]

    @property
    def keys(self) -> list[str]:
        """How it can be addressed, but for resources."""
        return [f"principal:{self.id}", f"role:{self.role}"]

    def key(self, addressed: Iterable[str]) -> str | None:
        """By which of an ask's addressees it is one of them: by name before role before grant; None if by none."""
        return min((key for key in addressed if self.is_meant(key)), key=_nearness, default=None)

    def is_meant(self, key: str) -> bool:
        return any(True for _ in self._opening(key)) if key.startswith(_GRANT) else key in self.keys

    def until(self, key: str) -> datetime | None:
        """Until when it is meant by a key, as far as that is known: as long as the last of its grants holds."""
        ends = [opened.until for opened in self._opening(key)] if key.startswith(_GRANT) else []
        return max((end for end in ends if end is not None), default=None) if None not in ends else None

    def _opening(self, key: str) -> Iterator[Opened]:
        """The grants that open a resource to it."""
        return (opened for opened in self.opened if matches(opened.resource, key.removeprefix(_GRANT)))


async def answerer(ctx: Context[Own]) -> Answerer:
    """The caller, with what identity says of it now. One that is no principal of the org has its role and nothing else."""
    actor = ctx.actor
    try:
        standing = await _standing(ctx, actor.org_id, actor.principal_id)
    except Refused as refusal:
        if isinstance(refusal.problem, PrincipalNotFound):
            return Answerer(actor.principal_id, actor.role)
        raise
    return of_standing(standing)


async def absent(ctx: Context[Own] | EventContext[Own], org_id: UUID, principal_id: UUID) -> Answerer | None:
    """Somebody who does not call; None when nobody active of this id may answer in this org."""
    try:
        standing = await _standing(ctx, org_id, principal_id)
    except Refused as refusal:
        if isinstance(refusal.problem, PrincipalNotFound):
            return None
        raise
    return of_standing(standing) if ANSWERS in standing.scopes else None


async def _standing(ctx: Context[Own] | EventContext[Own], org_id: UUID, principal_id: UUID) -> Standing:
    request = GetStanding(org_id, principal_id, ANSWERS)
    if isinstance(ctx, Context):
        return await ctx.call(request, as_service=True)
    return await ctx.call(request)


def of_standing(standing: Standing) -> Answerer:
    return Answerer(
        standing.principal_id, standing.role, standing.opened, standing.makers, standing.second_factor
    )


def _nearness(key: str) -> int:
    return ("principal", "role", "grant").index(key.partition(":")[0])
