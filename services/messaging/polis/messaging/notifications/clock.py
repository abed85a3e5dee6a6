"""Looks for what is to be told, and tells what is due: in one process at a time, for all of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from polis.db.ids import new_id
from polis.messaging.notifications import finding
from polis.messaging.notifications.deciding import HOUR, Due, Verdict, decide, hour_of
from polis.proto.messaging import NotificationDue
from polis.service.rounds import rounds
from polis.telemetry import log

if TYPE_CHECKING:
    from polis.db import Database, Transaction
    from polis.messaging.config import Config

AT_ONCE = 100
_COUNTED = 200
"""Numbers of a conversation that are looked at for what is unread."""

Principal = tuple[UUID, UUID]


async def keep(database: Database, config: Config) -> None:
    """For as long as the process lives. Two that lead for a moment do nothing twice: each row is one's."""

    async def now() -> None:
        await turn(database, config, datetime.now(UTC))

    await rounds("notifications", now, every_s=config.notify_every_s, led=database)


async def turn(database: Database, config: Config, now: datetime) -> int:
    """Look, and tell what is due by now; how many were told."""
    while await finding.look(database, config.notify_after_s) == finding.CONVERSATIONS:
        pass
    told = 0
    while True:
        async with database.across_orgs() as tx:
            due = await _due(tx, now)
            told += await _settle(tx, due, config, now)
        if len(due) < AT_ONCE:
            return told


async def _due(tx: Transaction, now: datetime) -> list[Due]:
    return await tx.rows(
        Due,
        """
        select n.org_id, n.principal_id, n.conversation_id, n.seq, n.last_seq, n.last_at, n.told_at is not null as told,
            coalesce(p.read_seq, 0) as read_seq, coalesce(p.state = 'joined', false) as there,
            coalesce(f.about <> '{}' and not n.conversation_id = any(f.not_of) and (f.mail or f.url is not null), false) as wanted,
            coalesce(f.mail, false) as mail, f.url is not null as hook, f.quiet_begin, f.quiet_end, f.zone,
            f.hour_at, coalesce(f.hour_told, 0) as hour_told, u.unread
        from (
            select n.org_id, n.principal_id, n.conversation_id, n.seq, n.last_seq, n.last_at, n.told_at, n.due_at
            from messaging.notices n
            where n.due_at <= $1 order by n.due_at limit $2 for update skip locked
        ) n
        left join messaging.notification_preferences f on f.org_id = n.org_id and f.principal_id = n.principal_id
        left join messaging.participants p
            on p.org_id = n.org_id and p.conversation_id = n.conversation_id and p.principal_id = n.principal_id
        cross join lateral (
            select count(*)::integer as unread from (
                select m.sender_id, m.deleted_at from messaging.messages m
                where m.org_id = n.org_id and m.conversation_id = n.conversation_id and m.seq <= n.last_seq
                    and m.seq > greatest(p.read_seq, n.last_seq - $3)
                order by m.seq limit $3
            ) m
            where m.sender_id <> n.principal_id and m.deleted_at is null
        ) u
        order by n.due_at, n.org_id, n.principal_id, n.conversation_id
        """,
        now,
        AT_ONCE,
        _COUNTED,
    )


async def _settle(tx: Transaction, due: list[Due], config: Config, now: datetime) -> int:
    hours: dict[Principal, tuple[datetime, int]] = {}
    decided: list[tuple[Due, Verdict]] = []
    for each in due:
        whose = (each.org_id, each.principal_id)
        since = hour_of(each, now)
        since, told = hours.setdefault(whose, (since, each.hour_told if since == each.hour_at else 0))
        try:
            verdict = decide(
                each,
                now,
                after=timedelta(seconds=config.notify_after_s),
                told=told,
                per_hour=config.notifications_per_hour,
            )
        except Exception as error:  # noqa: BLE001 - what is kept of one must not keep the others from being told
            log.error("notification.undecided", principal_id=str(each.principal_id), exc_info=error)
            verdict = Verdict("wait", now + HOUR, each.seq)
        decided.append((each, verdict))
        if verdict.what == "tell":
            hours[whose] = since, told + 1
            await tx.emit(_event(each))
    await _write(tx, decided, now)
    counted = {whose: hour for whose, hour in hours.items() if hour[1]}
    await _count(tx, counted)
    return sum(verdict.what == "tell" for _, verdict in decided)


def _event(due: Due) -> NotificationDue:
    return NotificationDue(
        due.org_id,
        new_id(),
        due.principal_id,
        due.conversation_id,
        due.unread,
        mail=due.mail,
        hook=due.hook,
    )


async def _write(tx: Transaction, decided: list[tuple[Due, Verdict]], now: datetime) -> None:
    dropped = [due for due, verdict in decided if verdict.what == "drop"]
    kept = [each for each in decided if each[1].what != "drop"]
    if dropped:
        await tx.execute(
            """
            delete from messaging.notices n using unnest($1::uuid[], $2::uuid[], $3::uuid[]) as d (org_id, p, c)
            where n.org_id = d.org_id and n.principal_id = d.p and n.conversation_id = d.c
            """,
            [due.org_id for due in dropped],
            [due.principal_id for due in dropped],
            [due.conversation_id for due in dropped],
        )
    if kept:
        await tx.execute(
            """
            update messaging.notices n set due_at = k.at, seq = k.seq, told_at = case when k.told then $1::timestamptz end
            from unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::timestamptz[], $6::bigint[], $7::boolean[])
                as k (org_id, p, c, at, seq, told)
            where n.org_id = k.org_id and n.principal_id = k.p and n.conversation_id = k.c
            """,
            now,
            [due.org_id for due, _ in kept],
            [due.principal_id for due, _ in kept],
            [due.conversation_id for due, _ in kept],
            [verdict.at for _, verdict in kept],
            [verdict.seq for _, verdict in kept],
            [verdict.what == "tell" for _, verdict in kept],
        )


async def _count(tx: Transaction, hours: dict[Principal, tuple[datetime, int]]) -> None:
    if hours:
        await tx.execute(
            """
            update messaging.notification_preferences f set hour_at = h.at, hour_told = h.told
            from unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::integer[]) as h (org_id, p, at, told)
            where f.org_id = h.org_id and f.principal_id = h.p
            """,
            [org_id for org_id, _ in hours],
            [principal_id for _, principal_id in hours],
            [at for at, _ in hours.values()],
            [told for _, told in hours.values()],
        )
