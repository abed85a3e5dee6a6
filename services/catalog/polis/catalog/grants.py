"""Grants on private resources and files: told by identity, kept here, and looked at whenever somebody looks.

A grant opens to its holder what visibility closes, and nothing is taken away by one. Those that wait for an approval, or
hold for data that is public anyway, are not counted.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from polis.catalog import units
from polis.catalog.access import Viewer
from polis.service.word import Word

if TYPE_CHECKING:
    from collections.abc import Sequence

    from polis.db import Database, Transaction
    from polis.proto.identity import Grant
    from polis.service import Actor, Kernel

READ, WRITE = "catalog:read", "catalog:write"
_FRESH_S = 2.0
"""How long what was read of an org's grants counts, should the word of another replica that they have changed be lost."""
_ORGS = 2000
"""Orgs whose grants are kept at the same time; beyond it all are forgotten and read anew."""
_MOST = 5000
"""Grants of one org that are looked at."""


class _Held(Struct, frozen=True):
    holder_kind: str
    holder_id: UUID | None
    holder_role: str | None
    verb: str
    resource: str
    expires_at: datetime | None


class _Org(Struct, frozen=True):
    """What was read of an org: its grants, and the units of the agents that looked since."""

    read_at: float
    held: list[_Held]
    units: dict[UUID, frozenset[UUID]]


class Grants:
    """Makes viewers of actors."""

    def __init__(self, kernel: Kernel) -> None:
        self._database = kernel.database
        self._read: dict[UUID, _Org] = {}
        self._changes = 0
        self._changed = Word(kernel, "grants", self._forget)

    async def viewer(self, actor: Actor) -> Viewer:
        """The actor as somebody who looks, with what grants open to it."""
        viewer = Viewer.of(actor)
        if viewer.manages:
            return viewer
        org = await self._of(actor.org_id)
        if not org.held:
            return viewer
        now = datetime.now(UTC)
        above = await self._above(org, actor)
        mine = [grant for grant in org.held if _holds(grant, actor, above, now)]
        reading = [grant.resource for grant in mine if grant.verb == READ]
        writing = [grant.resource for grant in mine if grant.verb == WRITE]
        return Viewer(
            viewer.org_id,
            viewer.principal_id,
            viewer.manages,
            expression(reading + writing),
            expression(writing),
            viewer.scopes,
        )

    def changed(self, org_id: UUID) -> None:
        """Every replica is to read the grants of this org anew."""
        self._changed.tell([org_id])

    def _forget(self, orgs: Sequence[UUID]) -> None:
        self._changes += 1
        for org_id in orgs:
            self._read.pop(org_id, None)

    async def _above(self, org: _Org, actor: Actor) -> frozenset[UUID]:
        """The units that an agent is in; looked up only where some grant asks for it. People are in none."""
        if actor.kind == "user" or all(grant.holder_kind != "unit" for grant in org.held):
            return frozenset()
        known = org.units.get(actor.principal_id)
        if known is None:
            known = await units.above(self._database.tenant(actor.org_id), actor.org_id, actor.principal_id)
            org.units[actor.principal_id] = known
        return known

    async def _of(self, org_id: UUID) -> _Org:
        known = self._read.get(org_id)
        if known is not None and time.monotonic() - known.read_at < _FRESH_S:
            return known
        began, changes = time.monotonic(), self._changes
        held = await self._database.tenant(org_id).rows(
            _Held,
            """
            select g.holder_kind, g.holder_id, g.holder_role, g.verb, g.resource, g.expires_at
            from catalog.grants g where g.org_id = $1
            order by g.id limit $2
            """,
            org_id,
            _MOST,
        )
        if len(self._read) >= _ORGS:
            self._read.clear()
        org = _Org(began, held, {})
        if changes == self._changes:
            self._read[org_id] = org
        return org


def _holds(grant: _Held, actor: Actor, above: frozenset[UUID], now: datetime) -> bool:
    if grant.expires_at is not None and grant.expires_at <= now:
        return False
    match grant.holder_kind:
        case "principal":
            return grant.holder_id == actor.principal_id
        case "role":
            return grant.holder_role == actor.role
        case "unit":
            return grant.holder_id in above
        case "everyone":
            return True
    return False


def expression(patterns: list[str]) -> str | None:
    """A regular expression of PostgreSQL for names that one of the patterns covers; None for no pattern."""
    return "^(?:" + "|".join(map(_expression, patterns)) + ")$" if patterns else None


def _expression(pattern: str) -> str:
    parts = pattern.split("/")
    rest = parts[-1] == "**"
    named = "/".join(
        re.sub(r"\*+", "[^/]*", re.sub(r"[^A-Za-z0-9*]", r"\\\g<0>", part))
        for part in parts[: -1 if rest else None]
    )
    return named + ("/" if named else "") + ".+" if rest else named


async def keep(tx: Transaction, grant: Grant) -> None:
    """Keep a grant that was given or approved, if it opens anything here."""
    conditions = grant.conditions
    waits = conditions.approval and grant.approved_by is None
    if grant.verb not in (READ, WRITE) or waits or conditions.data_class == "public":
        return
    await tx.execute(
        """
        insert into catalog.grants (org_id, id, holder_kind, holder_id, holder_role, verb, resource, expires_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8)
        on conflict (org_id, id) do nothing
        """,
        grant.org_id,
        grant.id,
        grant.holder.kind,
        grant.holder.id,
        grant.holder.role,
        grant.verb,
        grant.resource,
        conditions.expires_at,
    )


async def drop(tx: Transaction, org_id: UUID, grant_id: UUID) -> None:
    """Forget a grant that was taken back, or its approval."""
    await tx.execute("delete from catalog.grants where org_id = $1 and id = $2", org_id, grant_id)


async def sweep(database: Database, at: datetime) -> int:
    """Forget grants that had expired by then, of any org; how many."""
    async with database.across_orgs() as tx:
        return await tx.execute("delete from catalog.grants where expires_at <= $1", at)
