"""What follows from the runtime's events of asks: the audit log is told who answered what, and who is asked is mailed."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from polis.identity.audit.log import record
from polis.identity.mail import asks
from polis.identity.own import Own
from polis.proto import runtime
from polis.service import EventContext, Handlers

handlers = Handlers()
Mailed = runtime.AskOpened | runtime.AskEscalated | runtime.AskReminded | runtime.AskDelegated
Addressees = tuple[runtime.Addressee, ...]


@handlers.on(runtime.AskAnswered)
async def ask_answered(event: runtime.AskAnswered, ctx: EventContext[Own]) -> None:
    detail = {"run": event.run_id, "kind": event.kind, "decision": event.decision, "via": event.via}
    await _tell(ctx, event.at, "ask.answered", event.ask_id, event.by, **detail, by=event.acting)


@handlers.on(runtime.AskVoted)
async def ask_voted(event: runtime.AskVoted, ctx: EventContext[Own]) -> None:
    detail = {"run": event.run_id, "decision": event.decision, "by": event.acting}
    await _tell(ctx, event.at, "ask.voted", event.ask_id, event.by, **detail)


@handlers.on(runtime.AskDelegated)
async def ask_delegated(event: runtime.AskDelegated, ctx: EventContext[Own]) -> None:
    to = event.to
    named = f"{to.kind} {to.id or to.role or to.resource}"
    await _mail(ctx, event, (to,))
    await _tell(ctx, event.at, "ask.delegated", event.ask_id, event.by, run=event.run_id, to=named)


@handlers.on(runtime.AskLinkMade)
async def ask_link_made(event: runtime.AskLinkMade, ctx: EventContext[Own]) -> None:
    until = event.expires_at.isoformat()
    await _tell(ctx, event.at, "ask.link_made", event.ask_id, event.principal_id, until=until)


@handlers.on(runtime.ApprovalGiven)
async def approval_given(event: runtime.ApprovalGiven, ctx: EventContext[Own]) -> None:
    given = event.approval
    of = f"graph {given.graph}" if given.graph is not None else f"agent {given.agent_id}"
    detail = {"of": of, "verb": given.verb, "on": given.subject}
    await _tell(ctx, given.given_at, "approval.given", given.id, given.given_by, **detail)


@handlers.on(runtime.ApprovalRevoked)
async def approval_revoked(event: runtime.ApprovalRevoked, ctx: EventContext[Own]) -> None:
    await _tell(ctx, event.at, "approval.revoked", event.approval_id, event.by)


@handlers.on(runtime.AskOpened)
async def ask_opened(event: runtime.AskOpened, ctx: EventContext[Own]) -> None:
    await _mail(ctx, event, event.to)


@handlers.on(runtime.AskEscalated)
async def ask_escalated(event: runtime.AskEscalated, ctx: EventContext[Own]) -> None:
    await _mail(ctx, event, event.to)


@handlers.on(runtime.AskReminded)
async def ask_reminded(event: runtime.AskReminded, ctx: EventContext[Own]) -> None:
    await _mail(ctx, event, event.to, nth=event.nth)


async def _mail(ctx: EventContext[Own], event: Mailed, to: Addressees, *, nth: int = 0) -> None:
    """Mail whom an ask is addressed to. nth: of how many reminders it is; the first mail is none."""
    if event.mail == "none":
        return
    people = await asks.people(ctx.tx, to)
    if people:
        # Mails are of people and not of an org: a transaction of its own writes them, and again changes nothing.
        async with ctx.own.database.across_orgs() as tx:
            await asks.put(tx, event.org_id, event.ask_id, people, mail=event.mail, nth=nth, at=ctx.now())
        ctx.own.post.wake()


async def _tell(
    ctx: EventContext[Own], at: datetime, action: str, subject: UUID, actor_id: UUID | None, **detail: object
) -> None:
    await record(
        ctx.tx,
        org_id=ctx.tx.org_id,
        action=action,
        actor_id=actor_id,
        subject=str(subject),
        detail={name: str(value) for name, value in detail.items() if value != ""},
        at=at,
    )
