"""Signals that came before a step waited for them, in their order; a step that begins to wait takes the oldest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.proto import Refused, runtime
from polis.proto.problems import Overloaded
from polis.runtime.engine.activation import Recorded
from polis.runtime.waits import Kind, OpenWait, register, rows
from polis.runtime.waits.complete import Outcome, complete_all

if TYPE_CHECKING:
    from polis.db import Transaction

KIND = "signal"
MOST_QUEUED = 1_000
"""Signals of one run that wait for a step; who sends more is to come back later."""
_RETRY_S = 5.0


class _RunRow(Struct, frozen=True):
    state: str
    ended: bool


class _Taken(Struct, frozen=True):
    wait_id: UUID
    payload: bytes


async def send(
    tx: Transaction, run_id: UUID, name: str, payload: object
) -> tuple[runtime.Signalled, OpenWait | None]:
    """Give a run a signal, and the wait that it was brought to. Refused(RunNotFound | RunEnded | Overloaded)."""
    run = await tx.row(
        _RunRow,
        "select state, ended_at is not null as ended from runtime.runs where org_id = $1 and id = $2 for update",
        tx.org_id,
        run_id,
    )
    if run is None:
        raise Refused(runtime.RunNotFound(run_id=run_id))
    if run.ended:
        raise Refused(runtime.RunEnded(state=run.state))
    queued: int = await tx.value(
        "select count(*) from runtime.signals where org_id = $1 and run_id = $2", tx.org_id, run_id
    )
    body = msgspec.json.encode(payload)
    for wait in await rows.of_run(tx, run_id, KIND, name):
        if await complete_all(tx, [Outcome(wait, _outcome(body))], "completed"):
            return runtime.Signalled(taken=True, queued=queued), wait
    if queued >= MOST_QUEUED:
        raise Refused(Overloaded(retry_after_s=_RETRY_S), f"{queued:,} signals of the run wait already")
    await tx.execute(
        "insert into runtime.signals (org_id, run_id, name, payload) values ($1, $2, $3, $4)",
        tx.org_id,
        run_id,
        name,
        body,
    )
    return runtime.Signalled(taken=False, queued=queued + 1), None


async def _opened(tx: Transaction, waits: Sequence[OpenWait]) -> None:
    taken = await tx.rows(
        _Taken,
        """
        with wanted as (
            select w.org_id, w.run_id, w.name, w.id, row_number() over (
                partition by w.org_id, w.run_id, w.name order by w.place) as turn
            from unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[]) with ordinality
                as w (org_id, run_id, name, id, place)
        ), queued as (
            select s.org_id, s.run_id, s.n, s.name, s.payload, row_number() over (
                partition by s.org_id, s.run_id, s.name order by s.n) as turn
            from runtime.signals s where (s.org_id, s.run_id, s.name) in (
                select org_id, run_id, name from wanted)
        ), matched as (
            select w.id as wait_id, q.org_id, q.run_id, q.n, q.payload from wanted w join queued q
                on q.org_id = w.org_id and q.run_id = w.run_id and q.name = w.name and q.turn = w.turn
        ), gone as (
            delete from runtime.signals s using matched m
            where s.org_id = m.org_id and s.run_id = m.run_id and s.n = m.n
        )
        select wait_id, payload from matched
        """,
        [w.org_id for w in waits],
        [w.run_id for w in waits],
        [w.name for w in waits],
        [w.id for w in waits],
    )
    found = {t.wait_id: t.payload for t in taken}
    brought = [Outcome(w, _outcome(found[w.id])) for w in waits if w.id in found]
    if brought:
        await complete_all(tx, brought, "completed")


def _outcome(payload: bytes) -> bytes:
    return msgspec.json.encode(Recorded(emitted=(("out", msgspec.Raw(payload)),)))


register(KIND, Kind(opened=_opened))
