"""The topic `conversations`: which ones somebody takes part in or is invited to, as it is and as it changes."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from polis.gateway.lists import ListWatch
from polis.proto import Event
from polis.proto.messaging import (
    Participation,
    ParticipationChange,
    ParticipationsSnapshot,
    WatchParticipations,
)


class ParticipationsWatch(ListWatch[Participation]):
    """One client following what it takes part in."""

    quiet_s = 60.0  # an event may have been missed

    async def read(self) -> tuple[dict[UUID, Participation], bool]:
        actor = self.actor()
        found = await self.kernel.caller.call(WatchParticipations(), token=actor.token, org=str(actor.org_id))
        return {each.conversation_id: each for each in found.participations}, found.more

    def concerns(self, event: Event) -> bool:
        return getattr(event, "principal_id", None) == self.actor().principal_id

    def snapshot(self, seq: int, items: tuple[Participation, ...], *, more: bool) -> ParticipationsSnapshot:
        return ParticipationsSnapshot(seq, items, more)

    def change(self, seq: int, item: Participation | None, left: UUID | None) -> ParticipationChange:
        return ParticipationChange(seq, item, left)

    def is_gone(self, item: Participation, now: Mapping[UUID, Participation], *, more: bool) -> bool:
        """Where there are more than are read, the earliest may only have made room for others."""
        return not more or item.since >= min(each.since for each in now.values())
