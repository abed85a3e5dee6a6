"""Whether an agent may begin to say something as a stream: what its message will be held to no more when it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polis.messaging.turns import rows
from polis.messaging.turns.rules import PERSON
from polis.proto import Refused
from polis.proto.messaging import NotYourTurn

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from polis.db import Transaction
    from polis.messaging.turns.rules import Bounds
    from polis.service import Actor


async def demand(
    tx: Transaction,
    conversation_id: UUID,
    actor: Actor,
    reply_to: int | None,
    *,
    bounds: Bounds,
    now: datetime,
) -> None:
    """Refused(NotYourTurn | AgentTalkBound) in a locked conversation where no message of this agent would be taken."""
    if actor.kind == PERSON:
        return
    turn = None if reply_to is None else await rows.get(tx, conversation_id, reply_to)
    if turn is not None and turn.state == "answered" and turn.holder_id != actor.principal_id:
        raise Refused(NotYourTurn(message_seq=turn.message_seq, holder_id=turn.holder_id))
    talk = await rows.talk(tx, conversation_id)
    talk.demand_turn(actor.principal_id, now)
    talk.with_words_of(actor.principal_id, 1).demand_within(bounds)
