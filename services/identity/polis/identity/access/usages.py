"""Rows of what is used of quotas, per period, and of what is set aside from them.

Whoever changes several usages locks them first, in the order of their quotas, so that no two wait for each other.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from polis.identity.access import quotas
from polis.proto import Refused
from polis.proto.identity import Meter, OverQuota, Period

if TYPE_CHECKING:
    from collections.abc import Sequence

    from polis.db import Transaction


class Use(Struct, frozen=True):
    """What is used of a quota in its present period, locked."""

    quota_id: UUID
    meter: Meter
    period: Period
    most: int
    starts_at: datetime
    used: int
    reserved: int

    @property
    def left(self) -> int:
        return max(0, self.most - self.used - self.reserved)


class _Reserved(Struct, frozen=True):
    amount: int
    quotas: list[UUID]
    starts: list[datetime]


class Due(Struct, frozen=True):
    """A reservation that nobody settled in time."""

    org_id: UUID
    id: UUID
    amount: int


async def claim(tx: Transaction, org_id: UUID, reservation_id: UUID, amount: int, until: datetime) -> bool:
    """Store a reservation that is set aside from nothing yet; false when it was made before."""
    made = await tx.execute(
        """
        insert into identity.reservations (org_id, id, amount, quotas, starts, expires_at)
        values ($1, $2, $3, '{}', '{}', $4)
        on conflict (org_id, id) do nothing
        """,
        org_id,
        reservation_id,
        amount,
        until,
    )
    return bool(made)


async def lock(
    tx: Transaction,
    org_id: UUID,
    meter: Meter,
    *,
    principals: Sequence[UUID],
    key_id: UUID | None,
    at: datetime,
) -> list[Use]:
    """What is used of every quota that applies: of the org, the principals, the key, and the units of all of them."""
    applying = await tx.rows(
        UUID,
        """
        with recursive above as (
            select u.id, u.parent_id from identity.units u
            where u.org_id = $1 and u.id in (
                select unit_id from identity.agents where org_id = $1 and id = any($2)
                union all
                select unit_id from identity.api_keys where org_id = $1 and id = $3
            )
            union
            select u.id, u.parent_id from identity.units u join above a on u.org_id = $1 and u.id = a.parent_id
        )
        select q.id from identity.quotas q
        where q.org_id = $1 and q.meter = $4 and (
            q.subject_kind = 'org'
            or (q.subject_kind = 'principal' and q.subject_id = any($2))
            or (q.subject_kind = 'key' and q.subject_id = $3)
            or (q.subject_kind = 'unit' and q.subject_id in (select id from above))
        )
        order by q.id
        """,
        org_id,
        principals,
        key_id,
        meter,
    )
    if not applying:
        return []
    await tx.execute(
        """
        insert into identity.usages (org_id, quota_id, starts_at, used, reserved)
        select q.org_id, q.id,
            case q.period when 'total' then 'epoch' else date_trunc(q.period, $3::timestamptz, 'UTC') end, 0, 0
        from identity.quotas q
        where q.org_id = $1 and q.id = any($2)
        order by q.id
        on conflict do nothing
        """,
        org_id,
        applying,
        at,
    )
    return await tx.rows(
        Use,
        """
        select q.id as quota_id, q.meter, q.period, q.most, u.starts_at, u.used, u.reserved
        from identity.usages u
        join identity.quotas q on q.org_id = u.org_id and q.id = u.quota_id
        where u.org_id = $1 and u.quota_id = any($2)
            and u.starts_at = case q.period when 'total' then 'epoch' else date_trunc(q.period, $3::timestamptz, 'UTC') end
        order by u.quota_id
        for update of u
        """,
        org_id,
        applying,
        at,
    )


def demand_room(uses: Sequence[Use], amount: int) -> None:
    """Refused(OverQuota) of the one that leaves least, unless all leave enough."""
    tightest = min(uses, key=lambda use: (use.left, use.quota_id), default=None)
    if tightest is not None and tightest.left < amount:
        raise Refused(
            OverQuota(
                quota_id=tightest.quota_id,
                meter=tightest.meter,
                period=tightest.period,
                most=tightest.most,
                left=tightest.left,
                resets_at=quotas.end_of(tightest.period, tightest.starts_at),
            )
        )


async def set_aside(
    tx: Transaction, org_id: UUID, reservation_id: UUID, uses: Sequence[Use], amount: int
) -> None:
    """Count an amount of a claimed reservation as reserved in locked usages."""
    ids, starts = [use.quota_id for use in uses], [use.starts_at for use in uses]
    await _change(tx, org_id, ids, starts, used=0, reserved=amount)
    await tx.execute(
        "update identity.reservations set quotas = $3, starts = $4 where org_id = $1 and id = $2",
        org_id,
        reservation_id,
        ids,
        starts,
    )


async def settle(tx: Transaction, org_id: UUID, reservation_id: UUID, used: int, at: datetime) -> bool:
    """Count what was used of a reservation instead of what it set aside; false when that was done before."""
    found = await tx.row(
        _Reserved,
        """
        update identity.reservations set settled_at = $3
        where org_id = $1 and id = $2 and settled_at is null
        returning amount, quotas, starts
        """,
        org_id,
        reservation_id,
        at,
    )
    if found is None:
        return False
    await tx.execute(
        """
        select true from identity.usages
        where org_id = $1 and quota_id = any($2)
        order by quota_id, starts_at
        for update
        """,
        org_id,
        found.quotas,
    )
    await _change(tx, org_id, found.quotas, found.starts, used=used, reserved=-found.amount)
    return True


async def give_back(tx: Transaction, org_id: UUID, uses: Sequence[Use], amount: int) -> None:
    """Count less in locked usages that never begin anew, and no less than nothing."""
    forever = [use for use in uses if use.period == "total"]
    await _change(
        tx,
        org_id,
        [use.quota_id for use in forever],
        [use.starts_at for use in forever],
        used=-amount,
        reserved=0,
    )


async def due(tx: Transaction, at: datetime, limit: int) -> list[Due]:
    """Reservations of any org that nobody settled in time. Asked across orgs."""
    return await tx.rows(
        Due,
        """
        select org_id, id, amount from identity.reservations
        where settled_at is null and expires_at <= $1
        order by expires_at
        limit $2
        """,
        at,
        limit,
    )


async def _change(
    tx: Transaction,
    org_id: UUID,
    ids: Sequence[UUID],
    starts: Sequence[datetime],
    *,
    used: int,
    reserved: int,
) -> None:
    await tx.execute(
        """
        update identity.usages u
        set used = greatest(0, u.used + $4), reserved = greatest(0, u.reserved + $5)
        from unnest($2::uuid[], $3::timestamptz[]) as c (quota_id, starts_at)
        where u.org_id = $1 and u.quota_id = c.quota_id and u.starts_at = c.starts_at
        """,
        org_id,
        ids,
        starts,
        used,
        reserved,
    )
