"""Asks in conversations: what messaging tells there, and answers that were said there. What may be answered is decided as ever."""

from __future__ import annotations

from polis.proto import Refused, runtime
from polis.proto.problems import Fault, Forbidden
from polis.runtime.asks import access, answering, rows
from polis.runtime.own import Own
from polis.service import Context, Handlers
from polis.service.actor import BY_KEY

handlers = Handlers()
_IN_PERSON = "always"


@handlers.handles(runtime.DescribeAskInTalk)
async def describe_ask_in_talk(request: runtime.DescribeAskInTalk, ctx: Context[Own]) -> runtime.AskInTalk:
    who = request.principal_id
    answerer = None if who is None else await access.absent(ctx, request.org_id, who)
    row = await rows.get(ctx.own.database.tenant(request.org_id, deadline=ctx.deadline), request.ask_id)
    asked = row.asked
    return runtime.AskInTalk(
        row.kind,
        row.state,
        row.title,
        asked.text,
        row.actor_id,
        row.started_by,
        tuple(each for each in asked.decisions if each != _IN_PERSON),
        asked.choices,
        asked.form,
        mine=answerer is not None and row.key_for(answerer) is not None,
    )


@handlers.handles(runtime.AnswerAskInTalk)
async def answer_ask_in_talk(request: runtime.AnswerAskInTalk, ctx: Context[Own]) -> runtime.Ask:
    actor = ctx.actor
    if actor.acting and not actor.acting.startswith(BY_KEY):
        raise Refused(Forbidden(scope="session"), "nobody answers for somebody else")
    if request.decision == _IN_PERSON:
        fault = Fault("/decision", "what stands for always is approved in person")
        raise Refused(runtime.AnswerInvalid(faults=(fault,)))
    who = await access.answerer(ctx)
    given = answering.Given(
        decision=request.decision,
        value=request.value,
        note=request.note,
        via="message",
        at=ctx.now(),
        acting=actor.acting,
    )
    async with ctx.transaction() as tx:
        return tx.answer(await answering.answer(tx, request.ask_id, who, given, ctx.own.executor.peers))
