"""Deciding a turn: once its window is over or all have spoken, and again when whoever was to answer has not. In a turn of the log."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from polis.messaging.turns import rows
from polis.messaging.turns.rules import winner

if TYPE_CHECKING:
    from polis.messaging.conversations.turn import Turn
    from polis.proto.messaging import AnswerTurn


async def advance(log: Turn, turn: AnswerTurn, hold_s: float) -> AnswerTurn:
    """What becomes of an open or held turn whose time is over: the best claim that is left holds it, else it lapses.

    Who is speaking by then goes on.
    """
    tx, until = log.tx, log.at + timedelta(seconds=hold_s)
    if turn.state == "held":
        if await rows.speaks(tx, turn):
            turn = msgspec.structs.replace(turn, due_at=until)
            await rows.put(tx, turn)
            return turn
        [late] = [claim for claim in turn.claims if claim.principal_id == turn.holder_id]
        turn = await rows.say(tx, turn, msgspec.structs.replace(late, expired=True))
    talk = await rows.talk(tx, turn.conversation_id)
    other = talk.turn_seq != turn.message_seq and talk.until is not None and talk.until > log.at
    # While another message is being answered, one whose time is over is not taken up again.
    best = None if other else winner(await rows.of_speakers(tx, turn, log.at), log.responsible_id)
    if best is None:
        turn = msgspec.structs.replace(turn, state="lapsed", holder_id=None, due_at=None)
    else:
        turn = msgspec.structs.replace(turn, state="held", holder_id=best.principal_id, due_at=until)
    await rows.put(tx, turn, shown=not other)
    log.add("turn", turn=turn)
    return turn
