"""Answering an ask: in one transaction with the outcome of its wait, once, by whom it is addressed to."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Literal
from uuid import UUID

from msgspec import Struct

from polis.db import new_id
from polis.proto import Refused
from polis.proto.runtime import (
    AlreadyVoted,
    Always,
    Ask,
    AskAnswer,
    AskAnswered,
    AskEnded,
    AskVoted,
    Decision,
    NotAddressed,
)
from polis.runtime import waits
from polis.runtime.asks import approvals, judge, rows

if TYPE_CHECKING:
    from polis.db import Transaction
    from polis.runtime.asks.access import Answerer
    from polis.runtime.asks.rows import FullRow
    from polis.runtime.waits.complete import Told


class Given(Struct, frozen=True):
    """What somebody answers, and how. `acting`: by which key, where it is one."""

    decision: Decision
    value: object
    note: str
    via: Literal["api", "link", "message"]
    at: datetime
    always: Always | None = None
    acting: str = ""


async def lock(tx: Transaction, ask_id: UUID, who: Answerer) -> tuple[FullRow, str]:
    """An ask that somebody may answer, locked, and by which addressee they may.

    Refused(AskNotFound | NotAddressed).
    """
    row = await rows.lock(tx, ask_id)
    key = row.key_for(who)
    if key is None:
        raise Refused(NotAddressed(ask_id=ask_id))
    return row, key


def demand_open(row: FullRow) -> None:
    """Refused(AskEnded)."""
    if row.state != "open":
        raise Refused(AskEnded(state=row.state))


async def answer(tx: Transaction, ask_id: UUID, who: Answerer, given: Given, peers: Told) -> Ask:
    """Answer an ask, or vote on it; the same again changes nothing.

    Refused(AskNotFound | NotAddressed | AskEnded | AlreadyVoted | AnswerInvalid).
    """
    row, key = await lock(tx, ask_id, who)
    if row.state == "answered" and await _said_so(tx, row, who, given):
        return row.ask
    demand_open(row)
    judge.demand_fit(row.asked, given.decision, given.value)
    if row.kind == "vote":
        won, votes = await _vote(tx, row, who, given)
        if won is None:
            return row.ask
        decided = AskAnswer(won, given.at, "votes", note=given.note)
    else:
        votes = {}
        decided = AskAnswer(given.decision, given.at, given.via, who.id, given.value, given.note)
    if given.decision == "always" and row.kind == "approval":
        giving = approvals.Giving(new_id(), key, who.id, given.at, who.until(key))
        await approvals.give(tx, row, given.always or Always(), giving)
    await _complete(tx, row, decided, votes, peers)
    await tx.emit(_event(row, decided, given.acting))
    return (await rows.get(tx, ask_id)).ask


async def _complete(
    tx: Transaction, row: FullRow, decided: AskAnswer, votes: dict[str, int], peers: Told
) -> None:
    wait = await waits.get(tx, row.id)
    outcome = judge.outcome(row.asked, decided, votes)
    if wait is None or not await waits.complete(tx, wait, outcome, peers):
        raise Refused(AskEnded(state="withdrawn"))
    await rows.end(tx, row.id, "answered", decided.at, decided)


def _event(row: FullRow, decided: AskAnswer, acting: str) -> AskAnswered:
    return AskAnswered(
        org_id=row.org_id,
        ask_id=row.id,
        run_id=row.run_id,
        kind=row.kind,
        decision=decided.decision,
        via=decided.via,
        at=decided.at,
        by=decided.by,
        acting=acting,
    )


async def _vote(
    tx: Transaction, row: FullRow, who: Answerer, given: Given
) -> tuple[Decision | None, dict[str, int]]:
    """Count a vote; what has won by now, if anything, and how many there are for each choice."""
    before = await rows.votes(tx, row.id)
    if who.id not in before:
        await rows.vote(tx, row.id, who.id, given.decision, via=given.via, at=given.at)
        await tx.emit(
            AskVoted(row.org_id, row.id, row.run_id, given.decision, who.id, given.at, given.acting)
        )
    elif before[who.id] != given.decision:
        raise Refused(AlreadyVoted(decision=before[who.id]))
    votes = rows.counted({**before, who.id: given.decision})
    return judge.decided(votes, row.asked.quorum), votes


async def _said_so(tx: Transaction, row: FullRow, who: Answerer, given: Given) -> bool:
    """Whether this is what somebody has answered before."""
    if row.kind == "vote":
        return (await rows.votes(tx, row.id)).get(who.id) == given.decision
    told = row.answered
    return told is not None and (told.by, told.decision, told.value) == (who.id, given.decision, given.value)
