"""When messages pass a throttling step: no more than so many within any period, over all that the run does in that step.

A message is given its turn in the commit that makes it durable that it waits, by the database's clock, and passes then unless
that were too many: whoever completes what is due may be late. What it came to is in the journal like that of any other wait.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.runtime.engine import item as items
from polis.runtime.engine.activation import Recorded
from polis.runtime.waits import Kind, OpenWait, register
from polis.runtime.waits.complete import Outcome, complete_all

if TYPE_CHECKING:
    from polis.db import Transaction

KIND = "throttle"

Step = tuple[UUID, UUID, str]


class Rate(Struct, frozen=True, omit_defaults=True):
    """What the wait holds. rest: the message, where one that would have to wait leaves by `rest` instead."""

    times: int
    per_s: float
    drops: bool = False
    rest: msgspec.Raw = msgspec.Raw(b"null")


class _Row(Struct, frozen=True):
    org_id: UUID
    run_id: UUID
    node: str
    passed: list[datetime]
    planned: list[datetime]


_rate = msgspec.json.Decoder(Rate)


class Turns:
    """The turns of one step. passed: when the last messages did; planned: when those, and the last that wait, are to."""

    def __init__(self, rate: Rate, passed: Iterable[datetime] = (), planned: Iterable[datetime] = ()) -> None:
        self._rate = rate
        self.passed = deque(passed, maxlen=rate.times)
        self.planned = deque(planned, maxlen=rate.times)

    def opened(self, now: datetime) -> datetime | None:
        """When a message that comes now passes; None for never."""
        turn = max(self._free(self.planned, now), self._free(self.passed, now))
        if turn > now and self._rate.drops:
            return None
        self.planned.append(turn)
        if turn <= now:
            self.passed.append(now)
        return turn

    def due(self, now: datetime) -> datetime:
        """When a message passes whose turn it is: now, or later if others were late."""
        turn = self._free(self.passed, now)
        (self.passed if turn <= now else self.planned).append(turn)
        return turn

    def _free(self, taken: deque[datetime], now: datetime) -> datetime:
        if len(taken) < self._rate.times:
            return now
        return max(now, taken[0] + timedelta(seconds=self._rate.per_s))


async def _opened(tx: Transaction, waits: Sequence[OpenWait]) -> None:
    now: datetime = await tx.value("select clock_timestamp()")
    groups = _by_step(waits)
    turns = await _known(tx, groups)
    given = [(wait, turns[step].opened(now)) for step, group in groups.items() for wait in group]
    await _keep(tx, turns)
    await _move(tx, [(wait, turn) for wait, turn in given if turn is not None and turn > now])
    brought = [Outcome(wait, _left_out(wait)) for wait, turn in given if turn is None]
    brought += [Outcome(wait, None) for wait, turn in given if turn is not None and turn <= now]
    if brought:
        await complete_all(tx, brought, "completed")


async def _due(tx: Transaction, waits: Sequence[OpenWait]) -> list[OpenWait]:
    now: datetime = await tx.value("select clock_timestamp()")
    groups = _by_step(waits)
    turns = await _known(tx, groups)
    given = [(wait, turns[step].due(now)) for step, group in groups.items() for wait in group]
    await _keep(tx, turns)
    await _move(tx, [(wait, turn) for wait, turn in given if turn > now])
    return [wait for wait, turn in given if turn <= now]


def _by_step(waits: Sequence[OpenWait]) -> dict[Step, list[OpenWait]]:
    """In the order of their items: results leave a step in it."""
    groups: defaultdict[Step, list[OpenWait]] = defaultdict(list)
    for wait in sorted(waits, key=lambda w: items.parse(w.item)):
        groups[wait.org_id, wait.run_id, wait.node].append(wait)
    return groups


async def _move(tx: Transaction, given: Sequence[tuple[OpenWait, datetime]]) -> None:
    await tx.execute(
        """
        update runtime.waits w set due_at = t.at from unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) as t (org_id, id, at)
        where w.org_id = t.org_id and w.id = t.id and w.closed_at is null
        """,
        [wait.org_id for wait, _ in given],
        [wait.id for wait, _ in given],
        [turn for _, turn in given],
    )


def _left_out(wait: OpenWait) -> bytes:
    return msgspec.json.encode(Recorded(emitted=(("rest", _rate.decode(wait.data).rest),)))


async def _known(tx: Transaction, groups: dict[Step, list[OpenWait]]) -> dict[Step, Turns]:
    rows = await tx.rows(
        _Row,
        """
        select t.org_id, t.run_id, t.node, t.passed, t.planned
        from runtime.throttles t join unnest($1::uuid[], $2::uuid[], $3::text[]) as s (org_id, run_id, node)
            on t.org_id = s.org_id and t.run_id = s.run_id and t.node = s.node
        """,
        [org_id for org_id, _, _ in groups],
        [run_id for _, run_id, _ in groups],
        [node for _, _, node in groups],
    )
    kept = {(row.org_id, row.run_id, row.node): (row.passed, row.planned) for row in rows}
    return {step: Turns(_rate.decode(group[0].data), *kept.get(step, ())) for step, group in groups.items()}


async def _keep(tx: Transaction, turns: dict[Step, Turns]) -> None:
    """The rows of the runs are locked, so nobody else gives turns of these steps meanwhile."""
    for (org_id, run_id, node), kept in turns.items():
        await tx.execute(
            """
            insert into runtime.throttles (org_id, run_id, node, passed, planned) values ($1, $2, $3, $4, $5)
            on conflict (org_id, run_id, node) do update set passed = excluded.passed, planned = excluded.planned
            """,
            org_id,
            run_id,
            node,
            list(kept.passed),
            list(kept.planned),
        )


register(KIND, Kind(opened=_opened, due=_due))
