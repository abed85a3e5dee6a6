"""Who is meant by an id or another alias: asked of identity, and kept for a moment."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from uuid import UUID

from msgspec import Struct

from polis.messaging.access import READ
from polis.proto import Refused
from polis.proto.identity import AgentNotFound, GetAgent, GetStanding, PrincipalNotFound
from polis.proto.messaging import RecipientUnknown
from polis.proto.problems import Forbidden
from polis.service.passing import Passing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from polis.proto.identity import Standing
    from polis.service import Context

_FRESH_S = 30.0
_MOST = 20_000


class _Found(Struct, frozen=True):
    at: float
    id: UUID | None


def _is_old(found: _Found, now: float) -> bool:
    return now - found.at >= _FRESH_S


class Directory:
    """Finds principals of an org. What it knows of aliases may be half a minute old."""

    def __init__(self) -> None:
        self._known: Passing[tuple[UUID, str], _Found] = Passing(_is_old, most=_MOST)

    async def standing(self, ctx: Context[Any], principal_id: UUID) -> Standing:
        """What somebody of the org is. Refused(RecipientUnknown) for who is nobody there, or may not read messages."""
        try:
            standing = await ctx.call(GetStanding(ctx.actor.org_id, principal_id, READ), as_service=True)
        except Refused as refusal:
            if isinstance(refusal.problem, PrincipalNotFound):
                raise Refused(RecipientUnknown(principal_id=principal_id)) from None
            raise
        if READ not in standing.scopes:
            raise Refused(RecipientUnknown(principal_id=principal_id))
        return standing

    async def meant(self, ctx: Context[Any], aliases: Iterable[str]) -> tuple[UUID, ...]:
        """Whom these aliases mean, each once; nobody for an alias that is nobody's."""
        ids = [await self._id(ctx, alias) for alias in aliases]
        return tuple(dict.fromkeys(each for each in ids if each is not None))

    async def _id(self, ctx: Context[Any], alias: str) -> UUID | None:
        key, now = (ctx.actor.org_id, alias), time.monotonic()
        known = self._known.get(key)
        if known is not None and not _is_old(known, now):
            return known.id
        try:
            found = await self._look(ctx, alias)
        except Refused as refusal:
            if isinstance(refusal.problem, Forbidden):
                return None  # it is the caller who may not look, so nothing is known of the alias
            raise
        self._known.keep(key, _Found(now, found), now)
        return found

    async def _look(self, ctx: Context[Any], alias: str) -> UUID | None:
        """Refused(Forbidden) for a caller who may not look up agents."""
        try:
            return (await self.standing(ctx, UUID(alias))).principal_id
        except ValueError:
            pass
        except Refused as refusal:
            if isinstance(refusal.problem, RecipientUnknown):
                return None
            raise
        try:
            return (await ctx.call(GetAgent(agent=alias))).id
        except Refused as refusal:
            if isinstance(refusal.problem, AgentNotFound):
                return None
            raise
