"""Rows of asks: written as their waits open, read by whom they are addressed to, ended once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.proto import Refused
from polis.proto.runtime import Ask, AskAnswer, AskKind, AskNotFound, AskSheet, AskState, Decision
from polis.runtime.asks.spec import AskSpec
from polis.service.addressees import addressee_of

if TYPE_CHECKING:
    from polis.db import Tenant, Transaction
    from polis.runtime.asks.access import Answerer

MAX_GRANT_KEYS = 1_000
"""Different resources by which the asks of an org are addressed to holders of grants, that an inbox looks at."""
_spec = msgspec.json.Decoder(AskSpec)
_answer = msgspec.json.Decoder(AskAnswer)
_encode = msgspec.json.Encoder().encode


class AskRow(Struct, frozen=True):
    """The columns that make an Ask, with its addressees."""

    id: UUID
    org_id: UUID
    run_id: UUID
    graph: str
    actor_id: UUID
    started_by: UUID
    node: str
    item: str
    kind: AskKind
    state: AskState
    title: str
    verb: str
    subject: str
    no_self: bool
    opened_at: datetime
    due_at: datetime | None
    ended_at: datetime | None
    keys: list[str]

    @property
    def ask(self) -> Ask:
        fields = {name: getattr(self, name) for name in Ask.__struct_fields__ if name != "to"}
        return Ask(**fields, to=tuple(map(addressee_of, self.keys)))

    def excludes(self, who: Answerer) -> bool:
        """Whether its run is somebody's own, or their agent's, and it is not theirs to answer."""
        return self.no_self and not {self.actor_id, self.started_by}.isdisjoint(who.selves)

    def key_for(self, who: Answerer) -> str | None:
        """By which addressee somebody may answer; None for whom it does not concern."""
        return None if self.excludes(who) else who.key(self.keys)


class FullRow(AskRow, frozen=True):
    """An ask with what is asked and what was answered."""

    spec: bytes
    answer: bytes | None
    next_at: datetime | None
    reminded: int
    escalated: int

    @property
    def asked(self) -> AskSpec:
        return _spec.decode(self.spec)

    @property
    def answered(self) -> AskAnswer | None:
        return None if self.answer is None else _answer.decode(self.answer)


class Filter(Struct, frozen=True):
    """Which asks are listed."""

    state: AskState
    kind: AskKind | None = None
    run_id: UUID | None = None


async def page(db: Tenant, who: Answerer, wanted: Filter, *, before: UUID | None, limit: int) -> list[AskRow]:
    """What somebody may answer, or might have, the newest first: one statement, however many there are."""
    keys = [*who.keys, *await _grant_keys(db, who, is_open=wanted.state == "open")]
    given = [value for value in (wanted.kind, wanted.run_id) if value is not None]
    return await db.rows(
        AskRow,
        _PAGES[wanted.run_id is not None, wanted.kind is not None],
        db.org_id,
        wanted.state,
        keys,
        who.selves,
        before or _LAST,
        limit,
        *given,
    )


_LAST = UUID(int=2**128 - 1)
_FIELDS = """
    a.id, a.org_id, a.run_id, a.graph, a.actor_id, a.started_by, a.node, a.item, a.kind, a.state, a.title,
    a.verb, a.subject, a.no_self, a.opened_at, a.due_at, a.ended_at,
    array(select d.key from runtime.ask_addressees d where d.org_id = $1 and d.ask_id = a.id order by d.key) as keys
"""
_MINE = " and a.state = $2 and not (a.no_self and (a.actor_id = any($4) or a.started_by = any($4)))"
# Each way of being addressed gives its newest by the index, filtered on the way, so a page is read and not the inbox. Rows that
# are compared, and `offset 0`, keep the planner to that: where most asks are of one key it would go through all of the org's.
_BY_KEY = f"""
    select {_FIELDS}
    from (
        select distinct f.ask_id as id from unnest($3::text[]) as k (key) cross join lateral (
            select d.ask_id from (
                select d.org_id, d.open, d.key, d.ask_id from runtime.ask_addressees d
                where (d.org_id, d.open, d.key) >= ($1, $2 = 'open', k.key)
                    and (d.org_id, d.open, d.key, d.ask_id) < ($1, $2 = 'open', k.key, $5)
                order by d.org_id desc, d.open desc, d.key desc, d.ask_id desc offset 0
            ) as d cross join lateral (
                select from runtime.asks a where a.org_id = $1 and a.id = d.ask_id {_MINE} {{more}} offset 0
            ) as a
            order by d.org_id desc, d.open desc, d.key desc, d.ask_id desc limit $6
        ) as f
    ) as found join runtime.asks a on a.org_id = $1 and a.id = found.id
    order by a.id desc limit $6
"""  # noqa: S608 - texts of this module
_BY_RUN = f"""
    select {_FIELDS}
    from runtime.asks a
    where a.org_id = $1 and a.id < $5 and a.run_id = {{run}} {_MINE} {{more}} and exists (
        select from runtime.ask_addressees d where d.org_id = $1 and d.ask_id = a.id and d.key = any($3)
    )
    order by a.id desc limit $6
"""  # noqa: S608 - as above
_KIND = " and a.kind = $7"
# By whether a run is named, and a kind: no plan is made for all of them.
_PAGES = {
    (False, False): _BY_KEY.format(more=""),
    (False, True): _BY_KEY.format(more=_KIND),
    (True, False): _BY_RUN.format(run="$7", more=""),
    (True, True): _BY_RUN.format(run="$8", more=_KIND),
}


async def _grant_keys(db: Tenant, who: Answerer, *, is_open: bool) -> list[str]:
    """The resources by which asks are addressed and which somebody's grants open; the index is skipped along."""
    if not who.opened:
        return []
    found = await db.rows(
        str,
        """
        with recursive keys as (
            (
                select d.key from runtime.ask_addressees d
                where d.org_id = $1 and d.open = $2 and d.key >= 'grant:' order by d.key limit 1
            )
            union all
            select (
                select d.key from runtime.ask_addressees d
                where d.org_id = $1 and d.open = $2 and d.key > k.key order by d.key limit 1
            ) from keys k where k.key < 'grant;'
        )
        select k.key from keys k where k.key like 'grant:%' order by k.key limit $3
        """,
        db.org_id,
        is_open,
        MAX_GRANT_KEYS,
    )
    return [key for key in found if who.is_meant(key)]


async def get(db: Tenant | Transaction, ask_id: UUID) -> FullRow:
    """Refused(AskNotFound)."""
    row = await db.row(FullRow, _ONE, db.org_id, ask_id)
    if row is None:
        raise Refused(AskNotFound(ask_id=ask_id))
    return row


async def lock(tx: Transaction, ask_id: UUID) -> FullRow:
    """An ask that nobody changes until the transaction ends. Its run is locked before: whoever ends a run does so, too.

    Refused(AskNotFound).
    """
    await tx.execute(
        """
        select from runtime.runs r
        where r.org_id = $1 and r.id = (select a.run_id from runtime.asks a where a.org_id = $1 and a.id = $2)
        for update
        """,
        tx.org_id,
        ask_id,
    )
    await tx.execute("select from runtime.asks where org_id = $1 and id = $2 for update", tx.org_id, ask_id)
    return await get(tx, ask_id)


_ONE = f"""
    select {_FIELDS}, a.spec, a.answer, a.next_at, a.reminded, a.escalated
    from runtime.asks a where a.org_id = $1 and a.id = $2
"""  # noqa: S608 - as above


async def end(tx: Transaction, ask_id: UUID, state: AskState, at: datetime, answer: AskAnswer | None) -> None:
    """End a locked ask that is open."""
    await tx.execute(
        """
        with ended as (
            update runtime.asks set state = $3, ended_at = $4, answer = $5, next_at = null
            where org_id = $1 and id = $2
        )
        update runtime.ask_addressees set open = false where org_id = $1 and ask_id = $2
        """,
        tx.org_id,
        ask_id,
        state,
        at,
        None if answer is None else _encode(answer),
    )


async def address(tx: Transaction, ask_id: UUID, keys: Sequence[str], *, by: UUID | None = None) -> list[str]:
    """Address an open ask to further ones; those that it was not addressed to before."""
    return await tx.rows(
        str,
        """
        insert into runtime.ask_addressees (org_id, ask_id, key, open, added_by)
        select $1, $2, key, true, $4 from unnest($3::text[]) as k (key)
        on conflict (org_id, ask_id, key) do nothing
        returning key
        """,
        tx.org_id,
        ask_id,
        list(keys),
        by,
    )


async def release(tx: Transaction, ask_id: UUID, key: str) -> None:
    """Address an ask to one less."""
    await tx.execute(
        "delete from runtime.ask_addressees where org_id = $1 and ask_id = $2 and key = $3",
        tx.org_id,
        ask_id,
        key,
    )


async def vote(
    tx: Transaction, ask_id: UUID, by: UUID, decision: Decision, *, via: str, at: datetime
) -> None:
    """Count a vote of a locked ask on which this principal has not voted."""
    await tx.execute(
        """
        insert into runtime.ask_votes (org_id, ask_id, principal_id, decision, via, at)
        values ($1, $2, $3, $4, $5, $6)
        """,
        tx.org_id,
        ask_id,
        by,
        decision,
        via,
        at,
    )


class _Vote(Struct, frozen=True):
    principal_id: UUID
    decision: str


async def votes(db: Tenant | Transaction, ask_id: UUID) -> Mapping[UUID, str]:
    """What each voter has voted."""
    found = await db.rows(
        _Vote,
        "select principal_id, decision from runtime.ask_votes where org_id = $1 and ask_id = $2 order by at",
        db.org_id,
        ask_id,
    )
    return {row.principal_id: row.decision for row in found}


def counted(votes: Mapping[UUID, str]) -> dict[str, int]:
    given = list(votes.values())
    return {decision: given.count(decision) for decision in dict.fromkeys(given)}


def sheet(row: FullRow, voted: Mapping[UUID, str], who: UUID) -> AskSheet:
    """An ask as somebody reads it who may answer it."""
    asked = row.asked
    return AskSheet(
        ask=row.ask,
        text=asked.text,
        value=asked.value,
        decisions=asked.decisions,
        choices=asked.choices,
        form=asked.form,
        editable=asked.kind == "approval" and asked.editable,
        default=asked.default,
        quorum=asked.quorum,
        votes=counted(voted),
        mine=voted.get(who),
        answer=row.answered,
    )
