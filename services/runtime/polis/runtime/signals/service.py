"""Signals to a run, and what it tells."""

from __future__ import annotations

from polis.proto import runtime
from polis.runtime.own import Own
from polis.runtime.runs import store
from polis.runtime.signals import queue, told
from polis.service import Context, Handlers

handlers = Handlers()


@handlers.handles(runtime.SignalRun)
async def signal_run(request: runtime.SignalRun, ctx: Context[Own]) -> runtime.Signalled:
    async with ctx.transaction() as tx:
        signalled, wait = await queue.send(tx, request.run_id, request.name, request.payload)
        if wait is not None:
            tx.after_commit(lambda: ctx.own.executor.peers.tell([wait.run_id]))
        return tx.answer(signalled)


@handlers.handles(runtime.QueryRun)
async def query_run(request: runtime.QueryRun, ctx: Context[Own]) -> runtime.RunStatuses:
    run = await store.get(ctx.db, request.run_id)
    return runtime.RunStatuses(run.id, await told.of_run(ctx.db, run.id))
