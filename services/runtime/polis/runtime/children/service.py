"""Starting a run for a step of another one, in the commit that finds its parent open."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.proto import Refused, runtime
from polis.runtime.own import Own
from polis.runtime.runs import start, store
from polis.service import Context, Handlers

if TYPE_CHECKING:
    from polis.db import Transaction
    from polis.runtime.shell.programs import Bound

handlers = Handlers()

MAX_DEPTH = 8
"""Runs above a run."""
MAX_CHILDREN = 1_000
"""Runs that one run starts, in all its steps."""


class _Parent(Struct, frozen=True):
    actor_id: UUID
    state: str
    ended: bool
    depth: int


@handlers.handles(runtime.StartChild)
async def start_child(request: runtime.StartChild, ctx: Context[Own]) -> runtime.Run:
    run_id = child_id(request.parent_id, request.key)
    existing = await store.find(ctx.db, run_id)
    if existing is not None:
        return existing

    async def within(tx: Transaction, run: runtime.Run) -> None:
        depth = await _demand_parent(tx, request.parent_id, ctx.actor.principal_id)
        await tx.execute(
            "update runtime.runs set depth = $3 where org_id = $1 and id = $2", tx.org_id, run.id, depth
        )

    return await start.once(ctx, lambda: _wanted(request, ctx, run_id), request.input, within)


def child_id(parent_id: UUID, key: str) -> UUID:
    """The id of the run that a step starts: the same at every attempt. It is a UUIDv7 (RFC 9562) of its parent's time."""
    tail = bytearray(hashlib.sha256(f"{parent_id} {key}".encode()).digest()[:10])
    tail[0] = 0x70 | tail[0] & 0x0F
    tail[2] = 0x80 | tail[2] & 0x3F
    return UUID(bytes=parent_id.bytes[:6] + bytes(tail))


async def _wanted(request: runtime.StartChild, ctx: Context[Own], run_id: UUID) -> tuple[runtime.Run, Bound]:
    run, bound = await start.wanted(
        runtime.StartRun(graph=request.graph, input=request.input, environment=request.environment),
        ctx,
        number=request.number,
    )
    return msgspec.structs.replace(run, id=run_id, parent_id=request.parent_id), bound


async def _demand_parent(tx: Transaction, parent_id: UUID, principal_id: UUID) -> int:
    """How many runs are above a child of this one. Refused(RunNotFound | RunEnded | TooManyChildren).

    The lock orders it with the parent's end: that finds this child, or this one finds that. Its siblings are counted behind
    it: a statement that waited for the lock does not see those who had it.
    """
    parent = await tx.row(
        _Parent,
        """
        select r.actor_id, r.state, r.ended_at is not null as ended, r.depth
        from runtime.runs r where r.org_id = $1 and r.id = $2 for update of r
        """,
        tx.org_id,
        parent_id,
    )
    if parent is None or parent.actor_id != principal_id:
        raise Refused(runtime.RunNotFound(run_id=parent_id))
    if parent.ended:
        raise Refused(runtime.RunEnded(state=parent.state))
    children = await tx.value(
        "select count(*) from runtime.runs r where r.org_id = $1 and r.parent_id = $2", tx.org_id, parent_id
    )
    # The child itself is among them by now.
    if parent.depth >= MAX_DEPTH or children > MAX_CHILDREN:
        raise Refused(runtime.TooManyChildren(most=MAX_CHILDREN, depth=MAX_DEPTH))
    return parent.depth + 1
