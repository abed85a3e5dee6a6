"""Saying on: the pieces of one moment, of many streams, in one transaction; what is shown is told once that has committed.

Who begins to follow listens first and then reads: whatever it did not hear was committed before, so it has read it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal
from uuid import UUID

from msgspec import Struct

from polis.db import Caller, GroupCommit
from polis.messaging.messages.content import MAX_BYTES
from polis.proto import Refused, messaging
from polis.proto.messaging import StreamChange, StreamStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from polis.db import Database, Transaction
    from polis.messaging.telling import Telling


class Piece(Struct, frozen=True):
    """Some text of a stream, and where it belongs."""

    org_id: UUID
    stream_id: UUID
    producer_id: UUID
    at: int
    text: str


class _Taken(Struct, frozen=True):
    n: int
    conversation_id: UUID
    state: Literal["open", "paused", "complete", "partial", "preempted", "cancelled"]
    taken: int
    shown: int
    priority: int
    message_seq: int | None
    told_at: int
    told: str
    is_full: bool


def group(database: Database, saying: Saying) -> GroupCommit[Piece, StreamStatus]:
    return GroupCommit(database, saying.write)


class Saying:
    """Writes pieces in a transaction."""

    def __init__(self, telling: Telling, lease_s: float) -> None:
        self._telling = telling
        self._lease_s = lease_s

    async def write(
        self, tx: Transaction, callers: Sequence[Caller], pieces: Sequence[Piece]
    ) -> list[StreamStatus | Refused]:
        found = {row.n: row for row in await _taken(tx, callers, pieces)}
        told = [
            (callers[n - 1].org_id, row, _change(pieces[n - 1], row)) for n, row in found.items() if row.told
        ]
        if told:
            tx.after_commit(lambda: self._tell(told))
        return [self._answer(piece, found.get(n)) for n, piece in enumerate(pieces, 1)]

    def _answer(self, piece: Piece, row: _Taken | None) -> StreamStatus | Refused:
        if row is None:
            return Refused(messaging.StreamNotFound(stream_id=piece.stream_id))
        if row.is_full:
            return Refused(messaging.ConversationFull(what="characters of a stream", most=messaging.MAX_TEXT))
        return StreamStatus(
            piece.stream_id,
            row.state,
            row.taken,
            row.shown,
            self._lease_s,
            row.priority,
            row.message_seq,
        )

    def _tell(self, told: list[tuple[UUID, _Taken, StreamChange]]) -> None:
        """The rows of one stream come in the order of its text."""
        by_conversation: dict[tuple[UUID, UUID], list[StreamChange]] = {}
        for org_id, row, change in told:
            by_conversation.setdefault((org_id, row.conversation_id), []).append(change)
        for (org_id, conversation_id), changes in by_conversation.items():
            self._telling.streams(org_id, conversation_id, *changes)


def _change(piece: Piece, row: _Taken) -> StreamChange:
    return StreamChange(piece.stream_id, piece.producer_id, row.told_at, row.told)


async def _taken(tx: Transaction, callers: Sequence[Caller], pieces: Sequence[Piece]) -> list[_Taken]:
    return await tx.rows(
        _Taken,
        """
        select t.n, t.conversation_id, t.state, t.taken, t.shown, t.priority, t.message_seq, t.told_at, t.told, t.is_full
        from messaging.continue_streams(
            $1::uuid[], $2::uuid[], $3::uuid[], $4::integer[], $5::text[], $6, $7, $8, $9
        ) t
        """,
        [caller.org_id for caller in callers],
        [piece.stream_id for piece in pieces],
        [piece.producer_id for piece in pieces],
        [piece.at for piece in pieces],
        [piece.text for piece in pieces],
        datetime.now(UTC),
        messaging.MAX_TEXT,
        MAX_BYTES,
        messaging.MAX_HELD,
    )
