"""What time does to open asks: reminders, and further addressees when nobody answers. By the database's clock, by any process."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.proto.runtime import AskEscalated, AskReminded
from polis.runtime.asks.access import addressee_of
from polis.runtime.asks.opening import keys_of, next_at
from polis.runtime.asks.spec import AskSpec
from polis.service.rounds import rounds

if TYPE_CHECKING:
    from polis.db import Database, Transaction
    from polis.proto.runtime import AskMail
    from polis.runtime.asks.spec import Escalation

TURN_S = 1.0
_AT_ONCE = 100
_spec = msgspec.json.Decoder(AskSpec)


class _Due(Struct, frozen=True):
    org_id: UUID
    id: UUID
    run_id: UUID
    started_by: UUID
    opened_at: datetime
    reminded: int
    escalated: int
    spec: bytes
    age_s: float
    keys: list[str]


async def keep(database: Database) -> None:
    """Look for what is due for as long as the process lives: one look at an index a turn."""
    await rounds("asks that are due", lambda: turn(database), every_s=TURN_S)


async def turn(database: Database) -> float | None:
    """Do what is due about some asks; at once again when there may be more. What another process has in hand is passed over."""
    async with database.across_orgs() as tx:
        due = await tx.rows(
            _Due,
            """
            select a.org_id, a.id, a.run_id, a.started_by, a.opened_at, a.reminded, a.escalated, a.spec,
                extract(epoch from statement_timestamp() - a.opened_at)::float8 as age_s,
                array(
                    select d.key from runtime.ask_addressees d where d.org_id = a.org_id and d.ask_id = a.id
                    order by d.key
                ) as keys
            from runtime.asks a
            where a.state = 'open' and a.next_at is not null and a.next_at <= statement_timestamp()
            order by a.next_at limit $1 for update of a skip locked
            """,
            _AT_ONCE,
        )
        for ask in due:
            await _attend(tx, ask)
    return 0.0 if len(due) == _AT_ONCE else None


async def _attend(tx: Transaction, ask: _Due) -> None:
    asked = _spec.decode(ask.spec)
    escalated = sum(later.after_s <= ask.age_s for later in asked.escalate)
    for later in asked.escalate[ask.escalated : escalated]:
        await _escalate(tx, ask, later, asked.mail)
    reminded = 0 if asked.remind_s is None else int(ask.age_s / asked.remind_s)
    if reminded > ask.reminded:
        to = tuple(map(addressee_of, ask.keys))
        await tx.emit(AskReminded(ask.org_id, ask.id, ask.run_id, to, reminded, asked.mail))
    await tx.execute(
        """
        update runtime.asks set reminded = $3, escalated = $4, next_at = $5 where org_id = $1 and id = $2
        """,
        ask.org_id,
        ask.id,
        reminded,
        escalated,
        next_at(asked, ask.opened_at, reminded=reminded, escalated=escalated),
    )


async def _escalate(tx: Transaction, ask: _Due, later: Escalation, mail: AskMail) -> None:
    keys = keys_of(later.to, starter=ask.started_by if later.starter else None)
    new = await tx.rows(
        str,
        """
        insert into runtime.ask_addressees (org_id, ask_id, key, open)
        select $1, $2, key, true from unnest($3::text[]) as k (key)
        on conflict (org_id, ask_id, key) do nothing
        returning key
        """,
        ask.org_id,
        ask.id,
        list(keys),
    )
    if new:
        to = tuple(map(addressee_of, new))
        await tx.emit(AskEscalated(ask.org_id, ask.id, ask.run_id, to, mail))
