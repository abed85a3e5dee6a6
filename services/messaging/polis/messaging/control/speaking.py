"""What is said to who speaks, done to their streams: obeyed from the moment in which it commits, for it holds their rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polis.messaging.streams import ending, rows
from polis.messaging.streams.ending import Outcome
from polis.proto.messaging import (
    CancelControl,
    ControlledStream,
    PauseControl,
    PreemptControl,
    PriorityControl,
    ResumeControl,
    StreamChange,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from polis.db import Transaction
    from polis.messaging.own import Own
    from polis.messaging.streams.rows import StreamRow
    from polis.proto.messaging import Control


def concerns(control: Control, stream: StreamRow) -> bool:
    """Whether it changes anything of a stream."""
    match control:
        case PauseControl():
            return stream.state == "open"
        case ResumeControl():
            return stream.state == "paused"
        case PreemptControl() | CancelControl():
            return stream.is_open
        case PriorityControl(level=level):
            return stream.is_open and stream.priority != level
    return False


async def apply(
    tx: Transaction, own: Own, control: Control, streams: Sequence[StreamRow], *, by: UUID, now: datetime
) -> None:
    """Do it to locked streams that it concerns."""
    ids = [stream.id for stream in streams]
    match control:
        case PauseControl():
            await rows.change(tx, ids, state="paused", show=False, now=now)
        case ResumeControl():
            await rows.change(tx, ids, state="open", show=True, now=now)
        case PriorityControl(level=level):
            await rows.prioritize(tx, ids, level)
        case PreemptControl(reason=reason):
            await _end(tx, own, streams, Outcome("preempted", reason, by))
        case CancelControl(reason=reason):
            await _end(tx, own, streams, Outcome("cancelled", reason, by))


async def _end(tx: Transaction, own: Own, streams: Sequence[StreamRow], outcome: Outcome) -> None:
    for stream in streams:
        if stream.is_open:
            await ending.end(tx, own, stream, outcome)


def told(control: Control, streams: Sequence[StreamRow]) -> tuple[StreamChange, ...]:
    """What followers hear of these streams, as they were before; how one ends is told where it ends.

    With a stream that goes on comes what was said while it was paused.
    """
    match control:
        case PauseControl():
            return tuple(StreamChange(s.id, s.producer_id, s.shown, state="paused") for s in streams)
        case ResumeControl():
            return tuple(StreamChange(s.id, s.producer_id, s.shown, s.text[s.shown :]) for s in streams)
    return ()


def outcome(stream: StreamRow) -> ControlledStream:
    return ControlledStream(stream.id, stream.state, stream.shown, stream.message_seq)
