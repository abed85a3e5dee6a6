"""What is kept of every attempt of a run: the last ones of each step, within bounds, and how many there were.

Functions that the engine calls by the thousand are told by their step's counts alone, unless their graph records all.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from polis.proto.runtime import AttemptFacts, AttemptsOfStep, PortValue
from polis.runtime.engine import item as items
from polis.runtime.engine.failure import NO_JSON, may_help

if TYPE_CHECKING:
    from polis.runtime.engine.activation import Activation, Attempt, Failure
    from polis.runtime.engine.item import Item
    from polis.runtime.engine.machine import Machine

PER_STEP = 100
"""Attempts kept of one step, the last ones."""
PER_RUN = 2_000
"""Attempts kept of a run: with many steps, fewer of each."""
VALUE_BYTES = 4_096
"""Bytes of JSON of one message that is kept."""
VALUES_BYTES = 192 * 1024
"""Bytes of all messages that are kept of a run: a timeline fits into one message of the bus."""
MESSAGES = 8
"""Messages that are kept of one attempt."""
LOST = "step.lost"
"""What an attempt ended with whose process died, or gave the run up: when that was found."""
_End = tuple[float, str | None]
_NOT_HERE: _End = (0.0, None)

_encode = msgspec.json.Encoder().encode
_steps = msgspec.json.Decoder(tuple[AttemptsOfStep, ...])


class _Entry(Struct, eq=False):
    item: str
    number: int
    ready_at: float
    started_at: float
    ended_at: float | None = None
    error: str | None = None
    inputs: dict[str, msgspec.Raw] | None = None
    outputs: list[tuple[str, msgspec.Raw]] | None = None
    emitted: int = 0
    cost: int = 0
    size: int = 0


class History:
    """The attempts of one run."""

    __slots__ = (
        "_before",
        "_bytes",
        "_costs",
        "_counts",
        "_entries",
        "_keeps",
        "_machine",
        "_open",
        "_ready",
        "_resting",
    )

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._keeps = max(1, min(PER_STEP, PER_RUN // len(machine.program.steps)))
        self._entries: dict[str, deque[_Entry]] = {}
        self._counts: dict[str, int] = {}
        self._open: dict[Activation, _Entry] = {}
        self._ready: dict[Activation, float] = {}
        self._before: dict[str, AttemptsOfStep] = {}
        self._bytes = VALUES_BYTES
        self._costs: dict[tuple[str, Item], int] = {}
        """Of attempts that had not ended when the run was left."""
        self._resting: dict[tuple[str, Item], _End | None] = {}
        """Attempts that had not ended when the run was left, and how they did."""

    def recall(self, written: bytes | None) -> None:
        """What was kept before this process had the run."""
        if written is not None:
            self._before = {step.node: step for step in _steps.decode(written)}
            self._bytes -= sum(_size(attempt) for step in self._before.values() for attempt in step.attempts)
            for step in self._before.values():
                for attempt in step.attempts:
                    if attempt.ended_ms is None:
                        self._left((step.node, items.parse(attempt.item)))

    def _left(self, place: tuple[str, Item]) -> None:
        """An attempt was under way: it waits on, its outcome is in the journal, or it went with its process."""
        machine = self._machine
        goes_on = machine.outside.waited(place) or machine.attempts.knows(place)
        self._resting[place] = None if goes_on else (machine.now, LOST)

    def began(self, attempt: Attempt) -> None:
        """An attempt is asked for; `started` tells when it was at work, where it had to wait for that."""
        activation, now = attempt.activation, self._machine.now
        path, item = activation.place
        entry = _Entry(items.text(item), attempt.number, self._ready.pop(activation, now), now)
        self._open[activation] = entry
        self._counts[path] = self._counts.get(path, 0) + 1
        kept = self._entries.get(path)
        if kept is None:
            kept = self._entries[path] = deque(maxlen=self._keeps)
        elif len(kept) == self._keeps:
            self._bytes += kept[0].size
        kept.append(entry)
        exposure = activation.node.stage.exposure
        if exposure is not None:
            inputs = {port: exposure.input(port, value) for port, value in activation.inputs.items()}
            entry.inputs = {port: self._value(entry, value) for port, value in inputs.items()}

    def first_began(self, attempt: Attempt) -> float:
        """When it began, also where that was before this process had the run: what it is allowed to take counts from then."""
        known = self._known(attempt.activation, attempt.number)
        return attempt.began if known is None else self._machine.created_at + known.started_ms / 1000

    def missed(self, activation: Activation) -> None:
        """Its last attempt has failed before this process had the run: since then it waits for the next one."""
        known = self._known(activation, activation.attempt)
        if known is not None and known.ended_ms is not None:
            self._ready[activation] = self._machine.created_at + known.ended_ms / 1000

    def _known(self, activation: Activation, number: int) -> AttemptFacts | None:
        """An attempt that was made before this process had the run."""
        path, item = activation.place
        if (before := self._before.get(path)) is None:
            return None
        named = items.text(item), number
        return next((each for each in before.attempts if (each.item, each.number) == named), None)

    def started(self, attempt: Attempt) -> None:
        """It is at work."""
        entry = self._open.get(attempt.activation)
        if entry is not None and entry.number == attempt.number:
            entry.started_at = self._machine.clock()

    def emitted(self, activation: Activation, port: str, value: object) -> None:
        exposure = activation.node.stage.exposure
        entry = self._open.get(activation)
        if exposure is None or entry is None:
            return
        entry.emitted += 1
        if entry.emitted <= MESSAGES:
            entry.outputs = [*(entry.outputs or ()), (port, self._value(entry, exposure.output(port, value)))]

    def cost(self, activation: Activation, millionths: int) -> None:
        """An attempt has cost something."""
        entry = self._open.get(activation)
        if entry is not None:
            entry.cost += millionths
        elif self._resting and activation.place in self._resting:
            self._costs[activation.place] = self._costs.get(activation.place, 0) + millionths

    def ended(self, activation: Activation, failure: Failure | None) -> None:
        """An attempt has come to its end; with a failure another one may follow."""
        entry = self._open.pop(activation, None)
        if entry is not None:
            entry.ended_at = self._machine.now
            entry.error = failure.kind if failure is not None else None
            if failure is not None and _again(activation, failure):
                self._ready[activation] = self._machine.now
        elif self._resting and self._resting.get(activation.place, _NOT_HERE) is None:
            self._resting[activation.place] = (self._machine.now, None if failure is None else failure.kind)

    def took(self) -> dict[str, list[float]]:
        """By step: the seconds of each attempt that is kept and has ended."""
        return {
            path: [entry.ended_at - entry.started_at for entry in kept if entry.ended_at is not None]
            for path, kept in self._entries.items()
        }

    def written(self) -> bytes | None:
        """All that is kept, as JSON; None for a run without attempts of their own."""
        if not self._counts and not self._before:
            return None
        told = [self._told(path) for path in dict.fromkeys((*self._before, *self._counts))]
        return _encode(told)

    def _told(self, path: str) -> AttemptsOfStep:
        before = self._before.get(path)
        facts = [self._facts(entry) for entry in self._entries.get(path, ())]
        total = self._counts.get(path, 0)
        if before is not None:
            facts = [*(self._closed(path, attempt) for attempt in before.attempts), *facts]
            total += before.total
        return AttemptsOfStep(path, total, tuple(facts[-self._keeps :]))

    def _closed(self, path: str, attempt: AttemptFacts) -> AttemptFacts:
        place = (path, items.parse(attempt.item))
        end = self._resting.get(place) if attempt.ended_ms is None else None
        if end is None:
            return attempt
        cost = self._costs.get(place, 0) + (attempt.cost or 0)
        return msgspec.structs.replace(attempt, ended_ms=self._ms(end[0]), error=end[1], cost=cost or None)

    def _facts(self, entry: _Entry) -> AttemptFacts:
        outputs = entry.outputs
        return AttemptFacts(
            item=entry.item,
            number=entry.number,
            started_ms=self._ms(entry.started_at),
            ended_ms=None if entry.ended_at is None else self._ms(entry.ended_at),
            waited_ms=max(0, int((entry.started_at - entry.ready_at) * 1000)),
            error=entry.error,
            inputs=entry.inputs,  # type: ignore[arg-type] # Raw is written as what it holds
            outputs=None if outputs is None else tuple(PortValue(port, value) for port, value in outputs),
            cost=entry.cost or None,
            emitted=entry.emitted,
        )

    def _ms(self, at: float) -> int:
        return max(0, int((at - self._machine.created_at) * 1000))

    def _value(self, entry: _Entry, value: object) -> msgspec.Raw:
        """A message as it is kept, or how large it was."""
        body, size = bounded(value, min(VALUE_BYTES, max(0, self._bytes)))
        self._bytes -= size
        entry.size += size
        return body


def bounded(value: object, most: int) -> tuple[msgspec.Raw, int]:
    """A value as JSON with its bytes; of one that has more than so many, or is none, just that is said, and 0."""
    try:
        body = _encode(value)
    except (*NO_JSON, ValueError):
        return msgspec.Raw(b'{"left_out":"no JSON value"}'), 0
    if len(body) > most:
        return msgspec.Raw(_encode({"left_out_bytes": len(body)})), 0
    return msgspec.Raw(body), len(body)


def _again(activation: Activation, failure: Failure) -> bool:
    """Whether another attempt follows."""
    retry = activation.node.stage.retry
    return retry is not None and may_help(retry, failure) and activation.attempt < retry.attempts


def _size(attempt: AttemptFacts) -> int:
    """Bytes of the messages that are kept of an attempt."""
    return len(_encode((attempt.inputs or {}, attempt.outputs or ())))
