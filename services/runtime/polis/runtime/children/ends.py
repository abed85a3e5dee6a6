"""How a run hears that one it has started has ended, and the other way round."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.proto import runtime
from polis.runtime.engine.activation import Failure, Recorded
from polis.runtime.engine.attempts import MAX_RESULT_BYTES
from polis.runtime.waits import Kind, OpenWait, by_name, complete, register
from polis.runtime.waits.complete import Outcome, complete_all

if TYPE_CHECKING:
    from polis.db import Transaction
    from polis.runtime.waits.complete import Told
    from polis.runtime.waits.kinds import Why

KIND = "run"


class _Ended(Struct, frozen=True):
    id: UUID
    state: str
    output: bytes | None
    error: bytes | None


async def tell_parent(tx: Transaction, child_id: UUID, parent_id: UUID, peers: Told) -> None:
    """Bring a run's end to the step that waits for it.

    The parent's row is locked before its wait is looked for: one that is being opened is there by then, or finds itself
    that the child has ended.
    """
    await tx.execute(
        "select from runtime.runs where org_id = $1 and id = $2 for update", tx.org_id, parent_id
    )
    found = await _ended(tx, [(tx.org_id, child_id)])
    for wait in await by_name(tx, KIND, str(child_id)):
        if child_id in found:
            await complete(tx, wait, found[child_id], peers)


async def _opened(tx: Transaction, waits: Sequence[OpenWait]) -> None:
    found = await _ended(tx, [(w.org_id, UUID(w.name)) for w in waits])
    brought = [Outcome(w, msgspec.json.encode(found[UUID(w.name)])) for w in waits if UUID(w.name) in found]
    if brought:
        await complete_all(tx, brought, "completed")


async def _closed(tx: Transaction, waits: Sequence[OpenWait], why: Why) -> None:
    """Who waited for too long abandons the run; whose own run has ended has abandoned all that it started."""
    if why in ("due", "dropped"):
        for wait in waits:
            await tx.emit(
                runtime.ChildAbandoned(org_id=wait.org_id, run_id=UUID(wait.name), parent_id=wait.run_id)
            )


async def abandon(tx: Transaction, parents: Sequence[tuple[UUID, UUID]]) -> None:
    """Tell of the open children of runs (org, id) that have ended in this transaction."""
    children = await tx.rows(
        _Child,
        """
        -- For each of them by the index: without `offset` all children there are may be gone through.
        select r.org_id, r.id, r.parent_id from unnest($1::uuid[], $2::uuid[]) as p (org_id, id) cross join lateral (
            select c.org_id, c.id, c.parent_id from runtime.runs c
            where c.org_id = p.org_id and c.parent_id = p.id and c.ended_at is null offset 0
        ) r order by r.org_id, r.id
        """,
        [org_id for org_id, _ in parents],
        [run_id for _, run_id in parents],
    )
    for child in children:
        await tx.emit(runtime.ChildAbandoned(org_id=child.org_id, run_id=child.id, parent_id=child.parent_id))


class _Child(Struct, frozen=True):
    org_id: UUID
    id: UUID
    parent_id: UUID


async def _ended(tx: Transaction, runs: Sequence[tuple[UUID, UUID]]) -> dict[UUID, Recorded]:
    """The outcomes that those of these runs (org, id) are to their parents that have ended."""
    rows = await tx.rows(
        _Ended,
        """
        select r.id, r.state, r.output, r.error from runtime.runs r
        join unnest($1::uuid[], $2::uuid[]) as c (org_id, id) on r.org_id = c.org_id and r.id = c.id
        where r.ended_at is not null
        """,
        [org_id for org_id, _ in runs],
        [run_id for _, run_id in runs],
    )
    return {row.id: _outcome(row) for row in rows}


def _outcome(child: _Ended) -> Recorded:
    if child.output is not None:
        if len(child.output) > MAX_RESULT_BYTES - 1024:
            return _failed(child, "run.output_too_large", f"{len(child.output):,} bytes of JSON")
        return Recorded(emitted=(("out", msgspec.Raw(child.output)),))
    if child.error is None:
        return _failed(child, f"run.{child.state}", "nobody said why")
    error = msgspec.json.decode(child.error, type=runtime.RunError)
    return _failed(child, error.kind, f"{error.step}: {error.message}" if error.step else error.message)


def _failed(child: _Ended, kind: str, why: str) -> Recorded:
    return Recorded(failure=Failure(kind, f"run {child.id} {child.state}: {why}"[:2000]))


register(KIND, Kind(opened=_opened, closed=_closed))
