"""Taking a conversation along: every entry that is kept, as it was at one moment."""

from __future__ import annotations

from collections.abc import AsyncIterator

from polis.db import Deadline
from polis.messaging import access
from polis.messaging.live import log
from polis.messaging.own import Own
from polis.proto import Refused, messaging
from polis.proto.messaging import Entry
from polis.proto.problems import Forbidden, Overloaded
from polis.service import Context, Handlers

handlers = Handlers()
_TIMEOUT_S = 120.0
"""How long an export may take: its moment keeps the database from tidying up behind it, and a connection busy."""


@handlers.handles(messaging.ExportConversation)
async def export_conversation(
    request: messaging.ExportConversation, ctx: Context[Own]
) -> AsyncIterator[Entry]:
    own = ctx.own
    if own.exporting.locked():
        raise Refused(Overloaded(retry_after_s=5.0), "as many conversations are exported as may be at a time")
    async with (
        own.exporting,
        own.database.snapshot(ctx.actor.org_id, deadline=Deadline.after(_TIMEOUT_S)) as tx,
    ):
        row = await access.see(ctx, request.conversation_id, tx)
        row.demand_joined()
        if row.kind != "direct" and not row.manages:
            raise Refused(Forbidden(scope=access.MANAGING))
        seq = row.kept_from - 1
        while entries := await log.after(tx, row.id, seq):
            for entry in entries:
                yield entry
            seq = entries[-1].seq
