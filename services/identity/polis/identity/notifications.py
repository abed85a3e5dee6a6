"""What follows from messaging's notifications: who wants a mail gets one."""

from __future__ import annotations

from polis.identity.mail import unread
from polis.identity.own import Own
from polis.proto import messaging
from polis.service import EventContext, Handlers

handlers = Handlers()


@handlers.on(messaging.NotificationDue)
async def notification_due(event: messaging.NotificationDue, ctx: EventContext[Own]) -> None:
    if not event.mail:
        return
    email = await unread.address(ctx.tx, event.principal_id)
    if email is None:
        return
    about = unread.About(event.conversation_id, event.unread)
    # Mails are of people and not of an org: a transaction of its own writes them, and again changes nothing.
    async with ctx.own.database.across_orgs() as tx:
        await unread.put(tx, event.notification_id, email, about, ctx.now())
    ctx.own.post.wake()
