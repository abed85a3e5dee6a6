"""Asks as their waits open and close: in the commits of their runs, so neither is without the other."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.proto.runtime import AskAnswer, AskAnswered, AskExpired, AskOpened, AskWithdrawn
from polis.runtime import waits
from polis.runtime.asks import approvals, judge
from polis.runtime.asks.spec import AskSpec
from polis.runtime.waits.complete import Outcome, complete_all
from polis.service.addressees import addressee_of, key_of

if TYPE_CHECKING:
    from polis.db import Transaction
    from polis.proto.runtime import Addressee
    from polis.runtime.waits import OpenWait
    from polis.runtime.waits.kinds import Why

KIND = "ask"
_encode = msgspec.json.Encoder().encode
_spec = msgspec.json.Decoder(AskSpec)


class _Of(Struct, frozen=True):
    """What an ask takes from its run."""

    id: UUID
    graph: str
    actor_id: UUID
    started_by: UUID


class Opened(Struct, frozen=True):
    """An ask that opens. `answer`: what a standing approval says of it at once."""

    wait: OpenWait
    run: _Of
    asked: AskSpec
    keys: tuple[str, ...]
    answer: AskAnswer | None = None

    @property
    def verb(self) -> str:
        """What an approval is of; a step that does not say is a verb of its own."""
        return self.asked.verb or f"step:{self.wait.node}"

    @property
    def subject(self) -> approvals.Subject:
        run = self.run
        return approvals.Subject(
            self.wait.org_id,
            run.graph,
            run.actor_id,
            run.started_by,
            self.verb,
            self.asked.subject,
            self.asked.no_self,
            self.keys,
        )

    @property
    def next_at(self) -> datetime | None:
        """When somebody is reminded, or further ones are addressed, for the first time."""
        return next_at(self.asked, self.wait.created_at, reminded=0, escalated=0)


def next_at(asked: AskSpec, opened_at: datetime, *, reminded: int, escalated: int) -> datetime | None:
    """When there is something to do about an open ask, after so many reminders and escalations."""
    after = [later.after_s for later in asked.escalate[escalated : escalated + 1]]
    if asked.remind_s is not None:
        after.append(asked.remind_s * (reminded + 1))
    return opened_at + timedelta(seconds=min(after)) if after else None


def keys_of(to: Sequence[Addressee], *, starter: UUID | None) -> tuple[str, ...]:
    """Addressees as they are stored; `starter` is one of them where it is given."""
    keys = [key_of(addressee) for addressee in to]
    if starter is not None:
        keys.append(f"principal:{starter}")
    return tuple(dict.fromkeys(keys))


async def opened(tx: Transaction, new: Sequence[OpenWait]) -> None:
    """Asks open with their waits; those for which an approval stands are answered at once."""
    runs = await _runs(tx, new)
    asks = [_opened(wait, runs[wait.run_id]) for wait in new]
    subjects = [ask.subject for ask in asks if ask.asked.kind == "approval"]
    stands = iter(await approvals.standing(tx, subjects))
    now = datetime.now(UTC)
    asks = [_answered(ask, next(stands), now) if ask.asked.kind == "approval" else ask for ask in asks]
    await _insert(tx, asks, now)
    brought = [
        Outcome(ask.wait, _encode(judge.outcome(ask.asked, ask.answer)))
        for ask in asks
        if ask.answer is not None
    ]
    if brought:
        await complete_all(tx, brought, "completed")
    for ask in asks:
        await tx.emit(_event(ask))


async def closed(tx: Transaction, over: Sequence[OpenWait], why: Why) -> None:
    """Nobody waits for these any more: the run has ended, or it was too late. Who answers ends the ask alone."""
    if why == "completed":
        return
    now = datetime.now(UTC)
    answers = [_too_late(wait, now) if why == "due" else None for wait in over]
    for wait, answer in zip(over, answers, strict=True):
        org_id, ask_id, run_id = wait.org_id, wait.id, wait.run_id
        if answer is not None:
            kind = _spec.decode(wait.data).kind
            await tx.emit(AskAnswered(org_id, ask_id, run_id, kind, answer.decision, "default", now))
        elif why == "due":
            await tx.emit(AskExpired(org_id, ask_id, run_id))
        else:
            await tx.emit(AskWithdrawn(org_id, ask_id, run_id))
    last = "expired" if why == "due" else "withdrawn"
    await tx.execute(
        """
        with ended as (
            update runtime.asks a set state = e.state, answer = e.answer, ended_at = $5, next_at = null
            from unnest($1::uuid[], $2::uuid[], $3::text[], $4::bytea[]) as e (org_id, id, state, answer)
            where a.org_id = e.org_id and a.id = e.id and a.state = 'open'
            returning a.org_id, a.id
        )
        update runtime.ask_addressees d set open = false
        from ended where d.org_id = ended.org_id and d.ask_id = ended.id
        """,
        [wait.org_id for wait in over],
        [wait.id for wait in over],
        [last if answer is None else "answered" for answer in answers],
        [None if answer is None else _encode(answer) for answer in answers],
        now,
    )


def register() -> None:
    """Have waits of this kind be asks."""
    waits.register(KIND, waits.Kind(opened=opened, closed=closed))


async def _runs(tx: Transaction, new: Sequence[OpenWait]) -> dict[UUID, _Of]:
    rows = await tx.rows(
        _Of,
        """
        select r.id, r.graph, r.actor_id, r.started_by
        from runtime.runs r join unnest($1::uuid[], $2::uuid[]) as w (org_id, id) on r.org_id = w.org_id and r.id = w.id
        """,
        [wait.org_id for wait in new],
        [wait.run_id for wait in new],
    )
    return {row.id: row for row in rows}


def _opened(wait: OpenWait, run: _Of) -> Opened:
    asked = _spec.decode(wait.data)
    return Opened(wait, run, asked, keys_of(asked.to, starter=run.started_by if asked.starter else None))


def _answered(ask: Opened, standing: approvals.ApprovalRow | None, now: datetime) -> Opened:
    if standing is None:
        return ask
    answer = AskAnswer("approve", now, "standing", by=standing.given_by)
    return msgspec.structs.replace(ask, answer=answer)


def _too_late(wait: OpenWait, now: datetime) -> AskAnswer | None:
    return judge.default_answer(_spec.decode(wait.data), now)


def _event(ask: Opened) -> AskOpened | AskAnswered:
    wait, answer = ask.wait, ask.answer
    if answer is None:
        to = tuple(map(addressee_of, ask.keys))
        return AskOpened(
            wait.org_id,
            wait.id,
            wait.run_id,
            ask.asked.kind,
            to,
            wait.due_at,
            ask.asked.mail,
            ask.asked.conversation_id,
        )
    return AskAnswered(
        wait.org_id,
        wait.id,
        wait.run_id,
        ask.asked.kind,
        answer.decision,
        answer.via,
        answer.at,
        answer.by,
    )


async def _insert(tx: Transaction, asks: Sequence[Opened], now: datetime) -> None:
    keys = list(chain.from_iterable(((ask, key) for key in ask.keys) for ask in asks))
    await tx.execute(
        """
        insert into runtime.asks (org_id, id, run_id, graph, actor_id, started_by, node, item, kind, state, title, verb,
            subject, no_self, spec, opened_at, due_at, next_at, ended_at, answer)
        select org_id, id, run_id, graph, actor_id, started_by, node, item, kind,
            case when answer is null then 'open' else 'answered' end, title, verb, subject, no_self, spec, opened_at,
            due_at, case when answer is null then next_at end, case when answer is not null then $19::timestamptz end,
            answer
        from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::uuid[], $6::uuid[], $7::text[], $8::text[],
            $9::text[], $10::text[], $11::text[], $12::text[], $13::boolean[], $14::bytea[], $15::timestamptz[],
            $16::timestamptz[], $17::timestamptz[], $18::bytea[])
            as a (org_id, id, run_id, graph, actor_id, started_by, node, item, kind, title, verb, subject, no_self, spec,
                opened_at, due_at, next_at, answer)
        """,
        [ask.wait.org_id for ask in asks],
        [ask.wait.id for ask in asks],
        [ask.wait.run_id for ask in asks],
        [ask.run.graph for ask in asks],
        [ask.run.actor_id for ask in asks],
        [ask.run.started_by for ask in asks],
        [ask.wait.node for ask in asks],
        [ask.wait.item for ask in asks],
        [ask.asked.kind for ask in asks],
        [ask.asked.title for ask in asks],
        [ask.verb for ask in asks],
        [ask.asked.subject for ask in asks],
        [ask.asked.no_self for ask in asks],
        [ask.wait.data for ask in asks],
        [ask.wait.created_at for ask in asks],
        [ask.wait.due_at for ask in asks],
        [ask.next_at for ask in asks],
        [None if ask.answer is None else _encode(ask.answer) for ask in asks],
        now,
    )
    await tx.execute(
        """
        insert into runtime.ask_addressees (org_id, ask_id, key, open)
        select org_id, ask_id, key, open from unnest($1::uuid[], $2::uuid[], $3::text[], $4::boolean[])
            as d (org_id, ask_id, key, open)
        """,
        [ask.wait.org_id for ask, _ in keys],
        [ask.wait.id for ask, _ in keys],
        [key for _, key in keys],
        [ask.answer is None for ask, _ in keys],
    )
