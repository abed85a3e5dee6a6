"""Replies to asks whose process died before they were answered: who replied is told where it stands, once, by any process.

Nobody answers for them, for their token is gone with the request: they say it again, or it had counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from polis.messaging.asked import words
from polis.messaging.asked.replies import AskedRow, say, settled, why_not
from polis.messaging.messages import rows as messages
from polis.proto import Refused, messaging, runtime
from polis.service.rounds import rounds
from polis.telemetry import log

if TYPE_CHECKING:
    from polis.messaging.own import Own
    from polis.service import Kernel

TURN_S = 1.0
_AT_ONCE = 50
_AGAIN_S = 30.0
_MOST_S = 24 * 3600.0
"""What could not be settled for so long is of no use to anybody any more."""


class Left(Struct, frozen=True):
    """A reply to an ask that nobody has settled."""

    org_id: UUID
    conversation_id: UUID
    seq: int
    ask_id: UUID
    asker_id: UUID
    old: bool


async def keep(kernel: Kernel, own: Own) -> None:
    """For as long as the process lives: one look at an index a turn."""
    await rounds("replies to asks", lambda: sweep(kernel, own), every_s=TURN_S)


async def sweep(kernel: Kernel, own: Own) -> float | None:
    """Settle what was left behind; at once again when there may be more. What goes wrong with one keeps no other."""
    async with own.database.across_orgs() as tx:
        left = await tx.rows(
            Left,
            """
            with due as (
                select r.org_id, r.conversation_id, r.seq from messaging.asked_replies r
                where r.due_at <= clock_timestamp() order by r.due_at limit $1 for update skip locked
            )
            update messaging.asked_replies r set due_at = clock_timestamp() + make_interval(secs => $2)
            from due where r.org_id = due.org_id and r.conversation_id = due.conversation_id and r.seq = due.seq
            returning r.org_id, r.conversation_id, r.seq, r.ask_id, r.asker_id,
                r.replied_at < clock_timestamp() - make_interval(secs => $3) as old
            """,
            _AT_ONCE,
            _AGAIN_S,
            _MOST_S,
        )
    for reply in left:
        try:
            await _settle(kernel, own, reply)
        except Refused as refusal:
            log.warning("reply.postponed", ask_id=str(reply.ask_id), problem=refusal.problem.type)
        except Exception as error:  # noqa: BLE001 - a defect of ours: it is due again later, and seen in the log
            log.error("reply.broken", ask_id=str(reply.ask_id), exc_info=error)
    return 0.0 if len(left) == _AT_ONCE else None


async def _settle(kernel: Kernel, own: Own, left: Left) -> None:
    reply = left.conversation_id, left.seq
    text = "" if left.old else await _said(kernel, own, left)
    async with own.database.transaction([left.org_id]) as tx:
        if text:
            await say(tx, own, AskedRow(left.ask_id, left.asker_id), reply, text)
        await settled(tx, reply)


async def _said(kernel: Kernel, own: Own, left: Left) -> str:
    """What whoever replied is to be told; nothing where that was talk, or is gone."""
    try:
        reply = await messages.get(own.database.tenant(left.org_id), left.conversation_id, left.seq)
    except Refused as refusal:
        if isinstance(refusal.problem, messaging.MessageNotFound):
            return ""
        raise
    asked = runtime.DescribeAskInTalk(left.org_id, left.ask_id, reply.sender_id)
    try:
        shown = await kernel.caller.call(asked, token=await kernel.keys.own_token())
    except Refused as refusal:
        if isinstance(refusal.problem, runtime.AskNotFound):
            return why_not(refusal)
        raise
    if words.understood(shown, reply.text, reply.parts) is None:
        return words.unclear(shown) if shown.mine else ""
    if not shown.mine:
        return why_not(Refused(runtime.NotAddressed(ask_id=left.ask_id)))
    if shown.state != "open":
        return why_not(Refused(runtime.AskEnded(state=shown.state)))
    return words.AGAIN
