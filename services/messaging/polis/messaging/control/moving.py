"""Control that moves a conversation: to another who answers, or to somebody who is to claim it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polis.messaging.handoff import passing
from polis.messaging.handoff.service import demand_another, demand_open, demand_reachable, who_may_answer
from polis.proto.messaging import HandoffControl, RouteControl

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from polis.messaging.conversations.turn import Turn
    from polis.messaging.own import Own
    from polis.service import Context

    Move = Callable[[Turn], Awaitable[object]]

_TO = "/control/to"


async def prepared(ctx: Context[Own], control: RouteControl | HandoffControl) -> Move:
    """What is to be done in a turn of the conversation; who it goes to is asked for before. Refused(RecipientUnknown | Invalid)."""
    if isinstance(control, RouteControl):
        standing = await who_may_answer(ctx, control.to, _TO)

        async def route(turn: Turn) -> None:
            demand_open(turn.row)
            await passing.route(turn, standing.principal_id, standing.kind)

        return route
    await demand_reachable(ctx, control.to, _TO)
    wanted = passing.Wanted(control.to, control.reason, control.summary, control.timeout_s)

    async def hand_off(turn: Turn) -> None:
        demand_open(turn.row)
        demand_another(turn.row, wanted.to, _TO)
        await passing.hand_off(turn, wanted)

    return hand_off
