"""What follows from messaging's announcements: the audit log is told who made one, and not what it said."""

from __future__ import annotations

from polis.identity.audit.log import record
from polis.identity.own import Own
from polis.proto import messaging
from polis.service import EventContext, Handlers

handlers = Handlers()


@handlers.on(messaging.AnnouncementMade)
async def announcement_made(event: messaging.AnnouncementMade, ctx: EventContext[Own]) -> None:
    await record(
        ctx.tx,
        org_id=event.org_id,
        action="announcement.made",
        actor_id=event.by,
        subject=str(event.announcement_id),
        detail={"except_for": str(event.except_for)} if event.except_for else None,
        at=event.at,
    )
