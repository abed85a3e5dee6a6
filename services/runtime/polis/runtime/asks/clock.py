"""What time does to open asks: reminders, and further addressees when nobody answers. By the database's clock, by any process."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.proto import Refused
from polis.proto.runtime import AskEscalated, AskReminded
from polis.runtime.asks.opening import keys_of, next_at
from polis.runtime.asks.spec import AskSpec
from polis.service.addressees import addressee_of
from polis.service.rounds import each_by_itself, rounds
from polis.telemetry import log

if TYPE_CHECKING:
    from polis.db import Database, Transaction
    from polis.proto.runtime import AskMail
    from polis.runtime.asks.spec import Escalation

TURN_S = 1.0
_AT_ONCE = 100
_AGAIN_S = 30.0
"""What nothing could be done about is left for so long, so that it holds up nothing behind it."""
_spec = msgspec.json.Decoder(AskSpec)
_DUE = """
    select a.org_id, a.id, a.run_id, a.started_by, a.opened_at, a.reminded, a.escalated, a.spec,
        extract(epoch from statement_timestamp() - a.opened_at)::float8 as age_s,
        array(
            select d.key from runtime.ask_addressees d where d.org_id = a.org_id and d.ask_id = a.id
            order by d.key
        ) as keys
    from runtime.asks a
    where a.state = 'open' and a.next_at is not null and a.next_at <= statement_timestamp()
"""
_SOME = _DUE + "order by a.next_at limit $1 for update of a skip locked"
_ONE = _DUE + "and a.org_id = $1 and a.id = $2 for update of a skip locked"


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
    due: list[_Due] = []
    try:
        async with database.across_orgs() as tx:
            due = await tx.rows(_Due, _SOME, _AT_ONCE)
            for ask in due:
                await _attend(tx, ask)
    except Refused:
        raise
    except Exception as error:  # noqa: BLE001 - one of them has a defect: the others are attended to
        log.error("asks.stuck", exc_info=error)
        await each_by_itself(
            "asks",
            due,
            lambda ask: _attend_to(database, ask),
            lambda ask: _put_off(database, ask),
            id_of=lambda ask: ask.id,
        )
    return 0.0 if len(due) == _AT_ONCE else None


async def _attend_to(database: Database, ask: _Due) -> None:
    """The same for one, unless another process has done it meanwhile."""
    async with database.across_orgs() as tx:
        for found in await tx.rows(_Due, _ONE, ask.org_id, ask.id):
            await _attend(tx, found)


async def _put_off(database: Database, ask: _Due) -> None:
    async with database.across_orgs() as tx:
        await tx.execute(
            """
            update runtime.asks a set next_at = clock_timestamp() + make_interval(secs => $3)
            where a.org_id = $1 and a.id = $2 and a.state = 'open' and a.next_at <= clock_timestamp()
            """,
            ask.org_id,
            ask.id,
            _AGAIN_S,
        )


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
