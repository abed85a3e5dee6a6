"""How streams end: their text becomes a message by the way of all messages, and says how it came about.

Who speaks and is silent for too long is lost: what is shown stays, as a message that says so. Any process finds it that
could have heard them for as long.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from polis.db import Caller
from polis.messaging import access
from polis.messaging.messages.content import Carried
from polis.messaging.messages.posting import post_of
from polis.messaging.streams import rows
from polis.proto import Refused
from polis.proto.messaging import Message, StreamChange, Streamed
from polis.service.rounds import each_by_itself, rounds

if TYPE_CHECKING:
    from typing import Literal

    from polis.db import Transaction
    from polis.messaging.own import Own
    from polis.messaging.streams.rows import StreamRow

    Ended = Literal["complete", "partial", "preempted", "cancelled"]

_AT_ONCE = 200
_LOOK_S = 2.0
_AGAIN_S = 30.0
"""What could not be ended is left for so long."""
_KEPT = timedelta(days=1)
"""How long who spoke can still read what became of a stream; after that its message tells."""
LOST, TOO_LONG, ABANDONED = "producer lost", "took too long", "abandoned"


class Outcome(Struct, frozen=True):
    """How a stream ends, why, and by whom; `always`: whether it leaves a message even if nothing of it is shown."""

    state: Ended
    reason: str = ""
    by: UUID | None = None
    carried: Carried = Carried()
    mentions: tuple[UUID, ...] = ()
    attributes: dict[str, object] = {}
    always: bool = False


async def end(tx: Transaction, own: Own, row: StreamRow, outcome: Outcome) -> int | None:
    """End a locked stream of a locked conversation; the number of the message that it leaves."""
    if outcome.state == "partial" and row.cancelled_by is not None:
        outcome = Outcome("cancelled", by=row.cancelled_by)
    shown = row.text[: row.shown]
    seq = None
    if shown.strip() or outcome.carried.parts or outcome.always:
        seq = await _post(tx, own, row, shown, outcome)
    now = datetime.now(UTC)
    await rows.end(tx, row, outcome.state, seq, now)
    told = StreamChange(
        row.id, row.producer_id, row.shown, state=outcome.state, reply_to=row.reply_to, message_seq=seq
    )
    tx.after_commit(lambda: own.telling.streams(row.org_id, row.conversation_id, told))
    return seq


async def silence(
    tx: Transaction,
    own: Own,
    conversation_id: UUID,
    reason: str,
    *,
    by: UUID,
    producer_id: UUID | None = None,
) -> None:
    """End what somebody is saying in a locked conversation, or everybody, who may say nothing there from now on."""
    said = await rows.open_in(tx, conversation_id)
    ids = [stream.id for stream in said if producer_id in (None, stream.producer_id)]
    for stream in await rows.lock(tx, ids) if ids else ():
        if stream.is_open:
            await end(tx, own, stream, Outcome("preempted", reason, by))


async def _post(tx: Transaction, own: Own, row: StreamRow, text: str, outcome: Outcome) -> int:
    message = Message(
        row.conversation_id,
        0,
        row.producer_id,
        row.began_at,
        text,
        outcome.carried.parts,
        row.reply_to,
        row.thread,
        outcome.mentions,
        outcome.attributes,
        row.client_id,
        stream=Streamed(row.id, outcome.state, row.shown, outcome.reason, outcome.by),
    )
    post = post_of(row.org_id, message, began=True, sent_on=outcome.carried.sent_on)
    [answer] = await own.posting.write(tx, [Caller.here(row.org_id)], [post])
    if isinstance(answer, Refused):
        raise answer
    return answer.seq


class _Overdue(Struct, frozen=True):
    org_id: UUID
    conversation_id: UUID
    ids: list[UUID]


async def sweep(own: Own) -> None:
    """End what nobody speaks in any more, or for too long, in one conversation after the other."""
    await own.bus.round_trip(_LOOK_S)
    now = datetime.now(UTC)
    oldest = now - timedelta(seconds=own.config.stream_seconds)
    heeds = own.hearing.heeds(time.monotonic())
    silent = now - timedelta(seconds=own.config.stream_lease_s) if heeds else oldest
    place, found = (UUID(int=0), UUID(int=0)), _AT_ONCE
    while found == _AT_ONCE:
        async with own.database.across_orgs() as tx:
            overdue = await tx.rows(
                _Overdue,
                """
                select s.org_id, s.conversation_id, array_agg(s.id) as ids from messaging.streams s
                where s.state in ('open', 'paused') and (s.heard_at < $1 or s.began_at < $2)
                    and (s.org_id, s.conversation_id) > ($4, $5)
                group by s.org_id, s.conversation_id order by s.org_id, s.conversation_id limit $3
                """,
                silent,
                oldest,
                _AT_ONCE,
                *place,
            )
        own.hearing.heard(time.monotonic())
        await each_by_itself(
            "streams",
            [each for each in overdue if own.stuck.get(each.conversation_id, 0.0) <= now.timestamp()],
            lambda each: _give_up(own, each, silent, oldest),
            lambda each: _put_off(own, each),
            id_of=lambda each: each.conversation_id,
        )
        found = len(overdue)
        if overdue:
            place = (overdue[-1].org_id, overdue[-1].conversation_id)


async def _put_off(own: Own, overdue: _Overdue) -> None:
    now = datetime.now(UTC).timestamp()
    own.stuck.keep(overdue.conversation_id, now + _AGAIN_S, now)


async def _give_up(own: Own, overdue: _Overdue, silent: datetime, oldest: datetime) -> None:
    async with own.database.transaction([overdue.org_id]) as tx:
        await access.lock_rows(tx, overdue.org_id, [overdue.conversation_id])
        for row in await rows.lock(tx, overdue.ids):
            if not row.is_open:
                continue
            if row.began_at < oldest:
                await end(tx, own, row, Outcome("partial", TOO_LONG, always=True))
            elif row.heard_at < silent:
                await end(tx, own, row, Outcome("partial", LOST, always=True))


async def keep(own: Own) -> None:
    """Look for what is overdue, for as long as the service runs."""
    await rounds("streams", lambda: sweep(own), every_s=min(own.config.stream_lease_s / 5, _LOOK_S))


async def forget(own: Own, now: datetime) -> None:
    """Drop what is left of streams that ended long ago."""
    async with own.database.across_orgs() as tx:
        await tx.execute("delete from messaging.streams where ended_at < $1", now - _KEPT)
