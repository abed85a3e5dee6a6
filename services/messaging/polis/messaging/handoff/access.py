"""Whom a handoff means: by name, by role, or by a grant. Asked of identity each time, as asks are (ADR 25)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from msgspec import Struct

from polis.proto import Refused
from polis.proto.identity import GetStanding, PrincipalKind, PrincipalNotFound
from polis.proto.runtime import ANSWERS
from polis.service.access import matches
from polis.service.addressees import addressee_of

if TYPE_CHECKING:
    from polis.db import Tenant
    from polis.proto.identity import Opened
    from polis.proto.runtime import Addressee
    from polis.service import Context

_MOST_GRANTS = 1_000
"""Different resources by which the waiting handoffs of an org are addressed, that a list looks at."""


class Claimer(Struct, frozen=True):
    """Somebody who would claim. `opened`: resources that grants of answering open."""

    id: UUID
    kind: PrincipalKind
    role: str
    opened: tuple[Opened, ...] = ()

    def is_meant(self, to: Addressee) -> bool:
        match to.kind:
            case "principal":
                return to.id == self.id
            case "role":
                return to.role == self.role
        return any(matches(each.resource, to.resource or "") for each in self.opened)


async def claimer(ctx: Context[Any]) -> Claimer:
    """The caller, with what identity says of it now."""
    actor = ctx.actor
    try:
        standing = await ctx.call(GetStanding(actor.org_id, actor.principal_id, ANSWERS), as_service=True)
    except Refused as refusal:
        if isinstance(refusal.problem, PrincipalNotFound):
            return Claimer(actor.principal_id, actor.kind, actor.role)  # type: ignore[arg-type] # who holds a scope is one of these
        raise
    return Claimer(standing.principal_id, standing.kind, standing.role, standing.opened)


async def keys(db: Tenant, who: Claimer) -> list[str]:
    """Everything that waiting handoffs are addressed by and that means somebody."""
    named = [f"principal:{who.id}", f"role:{who.role}"]
    if not who.opened:
        return named
    granted = await db.rows(
        str,
        """
        select distinct h.key from messaging.handoffs h
        where h.org_id = $1 and h.state = 'waiting' and h.key >= 'grant:' and h.key < 'grant;' order by h.key limit $2
        """,
        db.org_id,
        _MOST_GRANTS,
    )
    return named + [key for key in granted if who.is_meant(addressee_of(key))]
