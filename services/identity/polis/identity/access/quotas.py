"""Rows of quotas: one of a subject for each meter and period, and one beside it that is imposed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from polis.proto import Refused
from polis.proto.identity import (
    Meter,
    OrgQuota,
    Period,
    Quota,
    QuotaNotFound,
    QuotaRemoved,
    QuotaSet,
    Subject,
    SubjectKind,
    SubjectNotFound,
)

if TYPE_CHECKING:
    from polis.db import Tenant, Transaction
    from polis.proto.identity import SetQuota

METER_PAGE = 5_000
_EXISTS = {
    "unit": ("select true from identity.units where org_id = $1 and id = $2 for key share",),
    "key": ("select true from identity.api_keys where org_id = $1 and id = $2 for key share",),
    "principal": (
        "select true from identity.agents where org_id = $1 and id = $2 for key share",
        "select true from identity.memberships where org_id = $1 and account_id = $2 for key share",
    ),
}

_QUOTAS = """
    select q.id, q.org_id, q.subject_kind, q.subject_id, q.meter, q.period, q.most, q.imposed, q.set_by, q.set_at,
        p.starts_at, coalesce(u.used, 0) as used, coalesce(u.reserved, 0) as reserved
    from identity.quotas q
    cross join lateral (
        select case q.period when 'total' then 'epoch' else date_trunc(q.period, $3::timestamptz, 'UTC') end
            as starts_at
    ) p
    left join identity.usages u on u.org_id = q.org_id and u.quota_id = q.id and u.starts_at = p.starts_at
    where q.org_id = $1
"""
"""At the moment $3: with what has been used since its period began."""


class _Row(Struct, frozen=True):
    id: UUID
    org_id: UUID
    subject_kind: SubjectKind
    subject_id: UUID | None
    meter: Meter
    period: Period
    most: int
    imposed: bool
    set_by: UUID
    set_at: datetime
    starts_at: datetime
    used: int
    reserved: int

    @property
    def quota(self) -> Quota:
        return Quota(
            id=self.id,
            org_id=self.org_id,
            subject=Subject(self.subject_kind, self.subject_id),
            meter=self.meter,
            period=self.period,
            most=self.most,
            imposed=self.imposed,
            used=self.used,
            reserved=self.reserved,
            resets_at=end_of(self.period, self.starts_at),
            set_by=self.set_by,
            set_at=self.set_at,
        )


def end_of(period: Period, starts_at: datetime) -> datetime | None:
    """When a period that began then ends."""
    match period:
        case "minute" | "hour" | "day":
            return starts_at + timedelta(**{f"{period}s": 1})
        case "month":
            return (starts_at + timedelta(days=31)).replace(day=1)
    return None


async def put(
    tx: Transaction, org_id: UUID, request: SetQuota, *, quota_id: UUID, by: UUID, at: datetime
) -> Quota:
    """Store a bound, in place of the same subject's for that meter and period, and tell. Refused(SubjectNotFound)."""
    subject = request.subject
    await _demand_subject(tx, org_id, subject)
    stored: UUID = await tx.value(
        """
        insert into identity.quotas
            (org_id, id, subject_kind, subject_id, meter, period, most, imposed, set_by, set_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        on conflict on constraint quotas_one do update set
            most = excluded.most, set_by = excluded.set_by, set_at = excluded.set_at
        returning id
        """,
        org_id,
        quota_id,
        subject.kind,
        subject.id,
        request.meter,
        request.period,
        request.most,
        request.imposed,
        by,
        at,
    )
    await tx.emit(QuotaSet(org_id, stored, subject, request.meter, request.period, request.most))
    return await get(tx, org_id, stored, at)


async def page(
    db: Tenant, org_id: UUID, subject_id: UUID | None, *, at: datetime, after: UUID | None, limit: int
) -> list[Quota]:
    found = await db.rows(
        _Row,
        _QUOTAS
        + """
        and ($2::uuid is null or q.subject_id = $2) and q.id > coalesce($4::uuid, '00000000-0000-0000-0000-000000000000')
        order by q.id
        limit $5
        """,
        org_id,
        subject_id,
        at,
        after,
        limit,
    )
    return [row.quota for row in found]


async def get(db: Tenant | Transaction, org_id: UUID, quota_id: UUID, at: datetime) -> Quota:
    """Refused(QuotaNotFound)."""
    row = await db.row(
        _Row,
        _QUOTAS + "and q.id = $2",
        org_id,
        quota_id,
        at,
    )
    if row is None:
        raise Refused(QuotaNotFound(quota_id=quota_id))
    return row.quota


async def of_meter(tx: Transaction, meter: Meter, after: UUID | None) -> list[OrgQuota]:
    """The quotas of a meter behind that one, of any org, by id: a page of them. Asked across orgs."""
    return await tx.rows(
        OrgQuota,
        """
        select q.id as quota_id, q.org_id from identity.quotas q
        where q.meter = $1 and q.id > coalesce($2::uuid, '00000000-0000-0000-0000-000000000000')
        order by q.id
        limit $3
        """,
        meter,
        after,
        METER_PAGE,
    )


async def remove(tx: Transaction, org_id: UUID, quota_id: UUID) -> None:
    """Delete a quota with its usages, and tell. Refused(QuotaNotFound)."""
    gone = await tx.execute("delete from identity.quotas where org_id = $1 and id = $2", org_id, quota_id)
    if not gone:
        raise Refused(QuotaNotFound(quota_id=quota_id))
    await tx.emit(QuotaRemoved(org_id, quota_id))


async def forget(tx: Transaction, org_id: UUID, kind: SubjectKind, subject_id: UUID) -> None:
    """Delete the quotas of a subject that is gone, and tell."""
    gone = await tx.rows(
        UUID,
        "delete from identity.quotas where org_id = $1 and subject_kind = $2 and subject_id = $3 returning id",
        org_id,
        kind,
        subject_id,
    )
    for quota_id in gone:
        await tx.emit(QuotaRemoved(org_id, quota_id))


async def _demand_subject(tx: Transaction, org_id: UUID, subject: Subject) -> None:
    """Refused(SubjectNotFound); the subject stays until the transaction ends."""
    found = subject.kind == "org"
    for table in _EXISTS.get(subject.kind, ()):
        found = found or bool(await tx.value(table, org_id, subject.id))
    if not found:
        raise Refused(SubjectNotFound(subject=subject))
