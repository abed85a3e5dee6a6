"""What agents may say and when, and whose claim wins. Pure: it knows neither store nor clock.

People are bound by none of this, and whatever a person says begins anew.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.proto import Refused
from polis.proto.messaging import AgentTalkBound, NotYourTurn

if TYPE_CHECKING:
    from collections.abc import Iterable

    from polis.proto.messaging import TurnClaim

PERSON = "user"


class Bounds(Struct, frozen=True):
    """How long agents may talk with each other before a person says something."""

    turns: int
    characters: int


class Talk(Struct, frozen=True):
    """What agents have said to each other since a person spoke last, and whose turn it is in a conversation.

    turns: how often one of them spoke after another; characters: of what was said in those. over: the held turn is answered.
    """

    last_id: UUID | None
    turns: int
    characters: int
    turn_seq: int | None
    holder_id: UUID | None
    until: datetime | None
    over: bool = False

    @property
    def heard_a_person(self) -> Talk:
        return msgspec.structs.replace(self, last_id=None, turns=0, characters=0)

    def with_words_of(self, agent_id: UUID, characters: int) -> Talk:
        """The talk with what an agent says. One that speaks alone, however long, talks with nobody."""
        turns = self.turns + (self.last_id not in (None, agent_id))
        return msgspec.structs.replace(
            self,
            last_id=agent_id,
            turns=turns,
            characters=self.characters + characters if turns else 0,
            over=self.over or self.holder_id == agent_id,
        )

    def demand_within(self, bounds: Bounds) -> None:
        """Refused(AgentTalkBound)."""
        if self.turns > bounds.turns:
            raise Refused(AgentTalkBound(what="turns", most=bounds.turns))
        if self.characters > bounds.characters:
            raise Refused(AgentTalkBound(what="characters", most=bounds.characters))

    def demand_turn(self, agent_id: UUID, now: datetime) -> None:
        """Refused(NotYourTurn) while it is another agent's turn, or not decided whose it is."""
        if self.until is None or self.over or self.until <= now or self.holder_id == agent_id:
            return
        raise Refused(NotYourTurn(message_seq=self.turn_seq or 0, holder_id=self.holder_id, until=self.until))


def winner(claims: Iterable[TurnClaim], responsible_id: UUID) -> TurnClaim | None:
    """Whose claim wins, of those that have not expired, whatever the order in which they came; None where there is none."""
    standing = [claim for claim in claims if claim.claims and not claim.expired]
    return min(
        standing,
        key=lambda claim: (-claim.confidence, claim.principal_id != responsible_id, claim.principal_id),
        default=None,
    )
