"""Answers about what somebody wants to be told."""

from __future__ import annotations

from polis.messaging.notifications import quiet, rows
from polis.messaging.own import Own
from polis.proto import Refused, messaging
from polis.proto.messaging import HookOf, NotificationPreferences
from polis.proto.problems import Fault, Invalid
from polis.service import Context, Handlers

handlers = Handlers()


@handlers.handles(messaging.GetNotificationPreferences)
async def get_notification_preferences(
    request: messaging.GetNotificationPreferences, ctx: Context[Own]
) -> NotificationPreferences:
    del request
    return await rows.get(ctx.db, ctx.actor.principal_id)


@handlers.handles(messaging.SetNotificationPreferences)
async def set_notification_preferences(
    request: messaging.SetNotificationPreferences, ctx: Context[Own]
) -> NotificationPreferences:
    _check(request.quiet)
    async with ctx.transaction() as tx:
        await rows.put(tx, ctx.actor.principal_id, request)
        await rows.look_again(tx, ctx.actor.principal_id, ctx.own.config.notify_after_s)
        return tx.answer(await rows.get(tx, ctx.actor.principal_id))


@handlers.handles(messaging.GetNotificationHook)
async def get_notification_hook(request: messaging.GetNotificationHook, ctx: Context[Own]) -> HookOf:
    async with ctx.own.database.transaction([request.org_id], deadline=ctx.deadline) as tx:
        return HookOf((await rows.get(tx, request.principal_id)).hook)


@handlers.handles(messaging.ReportNotificationHook)
async def report_notification_hook(request: messaging.ReportNotificationHook, ctx: Context[Own]) -> None:
    async with ctx.own.database.transaction([request.org_id], deadline=ctx.deadline) as tx:
        await rows.failed(tx, request.principal_id, request.url, request.failure, ctx.now())


def _check(hours: messaging.QuietHours | None) -> None:
    """Refused(Invalid) for a place that nobody knows the clock of, and for hours that are none or all of the day."""
    if hours is None:
        return
    if not quiet.is_zone(hours.zone):
        _refuse("/quiet/zone", "Expected a time zone of the IANA database")
    if hours.begin == hours.end:
        _refuse("/quiet/end", "Expected another time than the beginning")


def _refuse(pointer: str, detail: str) -> None:
    raise Refused(Invalid(faults=(Fault(pointer=pointer, detail=detail),)))
