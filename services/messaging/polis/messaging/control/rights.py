"""Who may say what to who speaks in a conversation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from polis.messaging import access
from polis.messaging.messages import rows as messages
from polis.proto import Refused
from polis.proto.messaging import (
    CancelControl,
    HandoffControl,
    PauseControl,
    PreemptControl,
    ResumeControl,
    RouteControl,
)
from polis.proto.problems import Forbidden

if TYPE_CHECKING:
    from collections.abc import Sequence

    from polis.messaging.access import ConversationRow
    from polis.messaging.streams.rows import StreamRow
    from polis.proto.messaging import Control
    from polis.service import Context

_OF_SPEAKERS = (PauseControl, ResumeControl, PreemptControl)
_MOVING = (RouteControl, HandoffControl)


async def demand(
    ctx: Context[Any], row: ConversationRow, control: Control, streams: Sequence[StreamRow] = ()
) -> None:
    """Refused(Forbidden) unless the caller may say this of these streams, by what it is in the conversation or by a grant."""
    if _by_itself(ctx, row, control):
        return
    if isinstance(control, CancelControl) and row.joined and await _is_answered(ctx, row, streams):
        return
    if not await access.may_control(ctx, row):
        speakers = isinstance(control, _OF_SPEAKERS)
        raise Refused(Forbidden(scope=access.SPEAKING if speakers else access.MANAGING))


def _by_itself(ctx: Context[Any], row: ConversationRow, control: Control) -> bool:
    if not row.joined:
        return False
    if row.manages or row.kind == "direct":
        return True
    if isinstance(control, _MOVING):
        return row.responsible_id == ctx.actor.principal_id
    muted = row.muted_until is not None and row.muted_until > ctx.now()
    return isinstance(control, _OF_SPEAKERS) and row.role != "observer" and not muted


async def _is_answered(ctx: Context[Any], row: ConversationRow, streams: Sequence[StreamRow]) -> bool:
    """Whether all of these answer what the caller has said."""
    asked = {stream.reply_to for stream in streams}
    known = await messages.these(ctx.db, row.id, [seq for seq in asked if seq is not None])
    return bool(asked) and all(
        seq in known and known[seq].sender_id == ctx.actor.principal_id for seq in asked
    )
