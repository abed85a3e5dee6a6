"""What follows from messaging's notifications: who wants them at a webhook gets them there."""

from __future__ import annotations

from polis.proto import messaging
from polis.runtime.notifications import rows
from polis.runtime.own import Own
from polis.service import EventContext, Handlers

handlers = Handlers()


@handlers.on(messaging.NotificationDue)
async def notification_due(event: messaging.NotificationDue, ctx: EventContext[Own]) -> None:
    if event.hook:
        await rows.put(ctx.tx, event, ctx.now())
        ctx.tx.after_commit(ctx.own.posts.wake.set)
