"""What the engine asks of the shell around it: the only way in which it acts."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from polis.proto.runtime import RunError
from polis.runtime.component import Wait
from polis.runtime.engine.activation import Activation, Attempt
from polis.runtime.engine.line import Line


class Launch(Struct, frozen=True, eq=False):
    """Run an attempt; then call `finished` or `failed` with it."""

    attempt: Attempt


class Abort(Struct, frozen=True, eq=False):
    """Stop an attempt: nobody waits for it any more."""

    attempt: Attempt


class Room(Struct, frozen=True, eq=False):
    """Let an attempt go on that waited for room."""

    attempt: Attempt


class Record(Struct, frozen=True, eq=False):
    """Make the outcome of an activation durable, before or together with whatever is told of the run afterwards.

    Then call `recorded` with it. line: what it has said in the run's log, which is made durable with it.
    """

    activation: Activation
    body: bytes
    line: Line | None = None


class Open(Struct, frozen=True, eq=False):
    """Make durable that an activation waits; then `completed` brings the outcome.

    late: the outcome that the wait holds for when it is due, data: what is told to whoever brings another, undo: what such an
    outcome is given so that it can be undone (`outside.undoable`), if that is so; all as JSON.
    """

    activation: Activation
    wait: Wait
    late: bytes
    data: bytes
    undo: bytes | None = None


class Close(Struct, frozen=True, eq=False):
    """Nobody waits any more for what an activation waited for."""

    activation: Activation


class Ended(Struct, frozen=True):
    """The run is over. It is the last request; attempts that still run are to be stopped.

    Outcomes that were to be recorded before are made durable together with the end.
    """

    state: Literal["succeeded", "failed", "cancelled"]
    output: bytes | None = None
    error: RunError | None = None


class HandOver(Struct, frozen=True, eq=False):
    """The run is to end, but not before what it did is undone: like Ended it is the last request.

    Make `verdict` durable with the outcomes before it (as that of `undoing.END`), and leave the run: whoever takes it up undoes.
    """

    verdict: bytes


Request = Launch | Abort | Room | Record | Open | Close | HandOver | Ended
