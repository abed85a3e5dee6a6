"""An org's policy for its ended runs, and deleting one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from polis.proto import Refused, runtime
from polis.proto.problems import Forbidden
from polis.runtime.own import Own
from polis.runtime.retention import policy
from polis.runtime.shell.records import ended
from polis.service import Context, Handlers

if TYPE_CHECKING:
    from polis.runtime.retention.policy import Policy

handlers = Handlers()

MANAGES = "runtime:manage"


@handlers.handles(runtime.GetRunRetention)
async def get_run_retention(_: runtime.GetRunRetention, ctx: Context[Own]) -> runtime.RunRetention:
    return _told(await policy.of(ctx.db), ctx.own.retention)


@handlers.handles(runtime.SetRunRetention)
async def set_run_retention(request: runtime.SetRunRetention, ctx: Context[Own]) -> runtime.RunRetention:
    wanted = policy.Policy(request.days, request.bytes)
    async with ctx.transaction() as tx:
        await policy.put(tx, wanted)
        return tx.answer(_told(wanted, ctx.own.retention))


@handlers.handles(runtime.DeleteRun)
async def delete_run(request: runtime.DeleteRun, ctx: Context[Own]) -> None:
    async with ctx.transaction() as tx:
        row = await tx.row(
            _RunRow,
            "select state, started_by from runtime.runs where org_id = $1 and id = $2 for update",
            tx.org_id,
            request.run_id,
        )
        if row is None:
            raise Refused(runtime.RunNotFound(run_id=request.run_id))
        if row.started_by != ctx.actor.principal_id:
            _demand_manager(ctx)
        if not ended(row.state):  # type: ignore[arg-type] # the table's check says that it is a state
            raise Refused(runtime.RunOpen(state=row.state))
        await tx.execute(
            "delete from runtime.runs where org_id = $1 and id = $2 and ended_at is not null",
            tx.org_id,
            request.run_id,
        )
        await tx.emit(runtime.RunDeleted(org_id=tx.org_id, run_id=request.run_id))
        return tx.answer(None)


class _RunRow(Struct, frozen=True):
    state: str
    started_by: UUID


def _demand_manager(ctx: Context[Own]) -> None:
    if MANAGES not in ctx.actor.scopes:
        raise Refused(Forbidden(scope=MANAGES), "somebody else started the run")


def _told(own: Policy, settings: Policy) -> runtime.RunRetention:
    applies = own.over(settings)
    return runtime.RunRetention(applies.days, applies.bytes, own.days, own.bytes)
