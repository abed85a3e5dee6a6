"""What follows from messaging's handoffs: the audit log is told who answered for a conversation, and since when."""

from __future__ import annotations

from polis.identity.audit.log import record
from polis.identity.own import Own
from polis.proto import messaging
from polis.service import EventContext, Handlers

handlers = Handlers()


@handlers.on(messaging.HandoffChanged)
async def handoff_changed(event: messaging.HandoffChanged, ctx: EventContext[Own]) -> None:
    to = event.to
    await record(
        ctx.tx,
        org_id=event.org_id,
        action=f"handoff.{event.state}",
        actor_id=event.by,
        subject=str(event.handoff_id),
        detail={
            "conversation": str(event.conversation_id),
            "to": f"{to.kind} {to.id or to.role or to.resource}",
        },
        at=event.at,
    )
