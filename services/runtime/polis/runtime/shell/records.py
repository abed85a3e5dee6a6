"""What is written of a run, as the journal takes it: its admission, what happened since, its end."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.proto.runtime import (
    TERMINAL,
    LogLine,
    Origin,
    Run,
    RunError,
    RunState,
    Step,
    Transition,
    TriggeredBy,
)

if TYPE_CHECKING:
    from polis.runtime.waits.rows import Opening

_steps = msgspec.json.Decoder(tuple[Step, ...])
_transitions = msgspec.json.Decoder(tuple[Transition, ...])


class Admission(Struct, frozen=True):
    """A run's first record. One that has ended already was executed at once and is written this once.

    program: digest of what it executes; content: that itself, unless the org is known to have it.
    """

    run: Run
    program: str
    content: bytes | None
    input: bytes
    steps: tuple[Step, ...]
    transitions: tuple[Transition, ...]
    owner: UUID | None
    output: bytes | None = None
    attempts: bytes | None = None
    timeout_s: float | None = None

    @property
    def org_id(self) -> UUID:
        return self.run.org_id


class Outcome(Struct, frozen=True):
    """The outcome of an effect."""

    node: str
    item: str
    body: bytes


class Rest(Struct, frozen=True):
    """A run that needs no process until what it waits for has come, or `until`: none has it from this flush on.

    heard: how many outcomes its process has heard of since it has the run; with more, it is to go on at once. paused:
    whether it has heard that; when it is not so (any more), the run is to be taken up at once, too.
    """

    heard: int
    until: datetime
    paused: bool


class Flush(Struct, frozen=True):
    """What happened in a run since its last record. `epoch` is its fencing token, `run` what it is from now on.

    transitions continue the run's sequence, the last of them is its new `seq`. Without any, only outcomes are written
    and nothing is told of the run. attempts: those of its steps, with its last record. opened: what it waits for from now on; closed: for what no more, by node
    and item. waits: whether it may have waited for anything. lines: what its steps have said; they are among the outcomes.
    """

    run: Run
    epoch: int
    steps: tuple[Step, ...] | None
    transitions: tuple[Transition, ...]
    outcomes: tuple[Outcome, ...] = ()
    output: bytes | None = None
    opened: tuple[Opening, ...] = ()
    closed: tuple[tuple[str, str], ...] = ()
    waits: bool = False
    rest: Rest | None = None
    attempts: bytes | None = None
    lines: tuple[LogLine, ...] = ()

    @property
    def org_id(self) -> UUID:
        return self.run.org_id


class Written(Struct, frozen=True):
    """What became of a flush. own: it was written, for the run is this owner's and open. paused: it is paused by now."""

    own: bool
    paused: bool


class Claimed(Struct, frozen=True):
    """An open run that this process has taken over, or taken from the queue."""

    run: Run
    epoch: int
    seq: int
    program: str
    input: bytes
    steps: bytes
    age_s: float
    lost: int
    paused_s: float
    attempts: bytes | None
    timeout_s: float | None


class RunRow(Struct, frozen=True):
    """The columns that make a Run."""

    id: UUID
    org_id: UUID
    graph: str
    digest: str
    state: str
    actor_id: UUID
    started_by: UUID
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    error: bytes | None
    tags: list[str] | None
    parent_id: UUID | None
    origin_id: UUID | None
    origin_kind: str | None
    origin_step: str | None
    trigger_id: UUID | None
    occurrence: str | None

    @property
    def run(self) -> Run:
        fields = {name: getattr(self, name) for name in RunRow.__struct_fields__[:_PLAIN]}
        if self.origin_id is not None:
            fields["origin"] = msgspec.convert(
                {"run_id": self.origin_id, "kind": self.origin_kind, "step": self.origin_step}, Origin
            )
        if self.trigger_id is not None:
            fields["trigger"] = TriggeredBy(self.trigger_id, self.occurrence or "")
        error = None if self.error is None else msgspec.json.decode(self.error, type=RunError)
        return Run(**fields, error=error, tags=tuple(self.tags or ()), parent_id=self.parent_id)


_PLAIN = RunRow.__struct_fields__.index("error")


def ended(state: RunState) -> bool:
    return state in TERMINAL


def decode_steps(steps: bytes) -> tuple[Step, ...]:
    return _steps.decode(steps)


def decode_transitions(body: bytes) -> tuple[Transition, ...]:
    return _transitions.decode(body)
