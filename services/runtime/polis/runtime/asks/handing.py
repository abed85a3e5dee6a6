"""Asks of conversations that are handed over: each is the one step of a run of a graph that is the runtime's own.

So it is a wait as all asks are, with their inbox, rights, links and audit. Messaging says when it is over; nothing falls due here.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from polis.db import Caller
from polis.graph import builtin, digest
from polis.proto import Refused, runtime
from polis.proto.graph import Component, Graph, GraphInput, GraphOutput, Node
from polis.runtime.own import Own
from polis.runtime.runs import store
from polis.runtime.runs.service import cancelled
from polis.runtime.shell import journal
from polis.runtime.shell.programs import Resolved
from polis.service import Context, Handlers
from polis.service.actor import NOBODY

if TYPE_CHECKING:
    from polis.runtime.shell.programs import Bound, Programs

handlers = Handlers()
_LONGEST_S = 31 * 86_400
"""Longer than a handoff may wait: messaging says when it is over."""


@handlers.handles(runtime.AskForHandoff)
async def ask_for_handoff(request: runtime.AskForHandoff, ctx: Context[Own]) -> None:
    executor = ctx.own.executor
    bound = await _bound(executor.programs, request.to.kind)
    run = runtime.Run(
        id=request.handoff_id,
        org_id=request.org_id,
        graph=runtime.HANDOFF_GRAPH,
        digest=bound.digest,
        state="queued",
        # As nobody: an agent that is stopped after it has asked for a person has asked all the same.
        actor_id=NOBODY,
        started_by=request.by,
        created_at=ctx.now(),
    )
    async with ctx.own.database.transaction([request.org_id], deadline=ctx.deadline) as tx:
        if await store.find(tx, run.id) is not None:
            return
        started = executor.prepare(run, bound, {"handoff": _told(request)})
        try:
            await journal.admit(tx, [Caller.here(request.org_id)], [started.admission])
        except BaseException:
            executor.refused(started)
            raise
    executor.admitted(started)


@handlers.handles(runtime.WithdrawHandoff)
async def withdraw_handoff(request: runtime.WithdrawHandoff, ctx: Context[Own]) -> None:
    with suppress(Refused):
        async with ctx.own.database.transaction([request.org_id], deadline=ctx.deadline) as tx:
            known = await store.find(tx, request.handoff_id)
            if known is None or known.graph != runtime.HANDOFF_GRAPH:
                return
            run, transitions = await store.cancel(tx, known.id, ctx.now())
            tx.after_commit(lambda: cancelled(ctx.own, run, transitions))


def _told(request: runtime.AskForHandoff) -> dict[str, object]:
    to = request.to
    return {
        "reason": request.reason,
        "summary": request.summary,
        "to": str(to.id or to.role or to.resource),
        "conversation_id": str(request.conversation_id),
        "handoff_id": str(request.handoff_id),
    }


def _digest(content: Graph | Component) -> str:
    return digest(msgspec.to_builtins(content))


async def _bound(programs: Programs, kind: str) -> Bound:
    graph = Graph(
        nodes={
            "ask": Node(
                "ask",
                config={
                    "kind": "handoff",
                    "title": "{{reason}}",
                    "text": "{{summary}}",
                    "to": [{kind: "{{to}}"}],
                },
            )
        },
        inputs={"handoff": GraphInput("ask.in")},
        outputs={"answer": GraphOutput("ask.answer")},
        timeout_s=_LONGEST_S,
    )
    component = builtin.components()["ask"]
    return await programs.of(_digest(graph), graph, {"ask": Resolved(_digest(component), component)}, {})
