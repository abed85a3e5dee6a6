"""Rows of what people want to be told."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from polis.proto.messaging import NotificationHook, NotificationKind, NotificationPreferences, QuietHours

if TYPE_CHECKING:
    from polis.db import Tenant, Transaction
    from polis.proto.messaging import SetNotificationPreferences


class _Row(Struct, frozen=True):
    about: tuple[NotificationKind, ...]
    mail: bool
    not_of: tuple[UUID, ...]
    url: str | None
    secret_id: UUID | None
    quiet_begin: str | None
    quiet_end: str | None
    zone: str | None
    failed_at: datetime | None
    failure: str | None


async def get(db: Tenant | Transaction, principal_id: UUID) -> NotificationPreferences:
    """What somebody wants; nothing, if they have never said so."""
    row = await db.row(
        _Row,
        """
        select f.about, f.mail, f.not_of, f.url, f.secret_id, f.quiet_begin, f.quiet_end, f.zone, f.failed_at, f.failure
        from messaging.notification_preferences f where f.org_id = $1 and f.principal_id = $2
        """,
        db.org_id,
        principal_id,
    )
    if row is None:
        return NotificationPreferences()
    return NotificationPreferences(
        row.about,
        row.mail,
        None if row.url is None or row.secret_id is None else NotificationHook(row.url, row.secret_id),
        quiet_of(row.quiet_begin, row.quiet_end, row.zone),
        row.not_of,
        row.failed_at,
        row.failure,
    )


def quiet_of(begin: str | None, end: str | None, zone: str | None) -> QuietHours | None:
    if begin is None or end is None or zone is None:
        return None
    return QuietHours(begin, end, zone)


async def put(tx: Transaction, principal_id: UUID, wanted: SetNotificationPreferences) -> None:
    """Keep what somebody wants; how a webhook fared is forgotten with another one."""
    hook, quiet = wanted.hook, wanted.quiet
    await tx.execute(
        """
        insert into messaging.notification_preferences as f
            (org_id, principal_id, about, mail, url, secret_id, quiet_begin, quiet_end, zone, not_of)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        on conflict (org_id, principal_id) do update set about = excluded.about, mail = excluded.mail,
            quiet_begin = excluded.quiet_begin, quiet_end = excluded.quiet_end, zone = excluded.zone,
            not_of = excluded.not_of, url = excluded.url, secret_id = excluded.secret_id,
            failed_at = case when (f.url, f.secret_id) is not distinct from (excluded.url, excluded.secret_id)
                then f.failed_at end,
            failure = case when (f.url, f.secret_id) is not distinct from (excluded.url, excluded.secret_id)
                then f.failure end
        """,
        tx.org_id,
        principal_id,
        list(dict.fromkeys(wanted.about)),
        wanted.mail,
        hook and hook.url,
        hook and hook.secret_id,
        quiet and quiet.begin,
        quiet and quiet.end,
        quiet and quiet.zone,
        list(dict.fromkeys(wanted.not_of)),
    )


async def look_again(tx: Transaction, principal_id: UUID, after_s: float) -> None:
    """What waits for hours that were quiet is decided anew, by what somebody wants now."""
    await tx.execute(
        """
        update messaging.notices set due_at = least(due_at, last_at + make_interval(secs => $3))
        where org_id = $1 and principal_id = $2 and told_at is null
        """,
        tx.org_id,
        principal_id,
        after_s,
    )


async def failed(tx: Transaction, principal_id: UUID, url: str, failure: str, at: datetime) -> None:
    """A webhook did not arrive. That of another address is not to blame."""
    await tx.execute(
        """
        update messaging.notification_preferences set failed_at = $4, failure = $5
        where org_id = $1 and principal_id = $2 and url = $3
        """,
        tx.org_id,
        principal_id,
        url,
        at,
        failure,
    )


async def forget(tx: Transaction, principal_id: UUID) -> None:
    """Somebody is in the org no more."""
    for table in ("notices", "notification_preferences"):
        await tx.execute(
            f"delete from messaging.{table} where org_id = $1 and principal_id = $2",  # noqa: S608 - constants
            tx.org_id,
            principal_id,
        )
