"""A list of somebody's own that is longer than what is followed of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from uuid import UUID

from polis.gateway.channels import Channels
from polis.gateway.lists import ListChannel
from polis.gateway.participations import ParticipationsWatch
from polis.proto.identity import AgentDeleted
from polis.proto.messaging import ParticipantChanged, Participation, ParticipationsSnapshot

ADA, ORG = UUID(int=1), UUID(int=2)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def part(number: int) -> Participation:
    return Participation(UUID(int=number), "member", "joined", NOON + timedelta(minutes=number))


class Messaging:
    """Stands for the mesh: what is told of the list next."""

    def __init__(self) -> None:
        self.caller = self.bus = self
        self.found = ParticipationsSnapshot(0, ())

    async def subscribe(self, *_):
        return SimpleNamespace(unsubscribe=lambda: None)

    async def call(self, *_, **__):
        return self.found


async def test_what_only_made_room_has_not_left_and_what_concerns_others_is_not_read():
    mesh = Messaging()
    mesh.found = ParticipationsSnapshot(0, (part(3), part(2), part(1)), more=True)
    channels = Channels(lambda org_id: ListChannel(mesh, org_id, (ParticipantChanged,)))
    actor = SimpleNamespace(principal_id=ADA, org_id=ORG, token="")
    watch = ParticipationsWatch(mesh, channels, lambda: actor)

    def joined(who: UUID) -> ParticipantChanged:
        return ParticipantChanged(ORG, UUID(int=4), 1, who, "member", "joined", by=ADA)

    async with watch as snapshot:
        assert (snapshot.seq, snapshot.more) == (1, True)
        assert not watch.concerns(joined(UUID(int=9)))
        assert not watch.concerns(AgentDeleted(ORG, ADA))

        mesh.found = ParticipationsSnapshot(0, (part(4), part(2)), more=True)
        watch.hear(joined(ADA))
        changes = await watch.next()

    assert [(c.seq, c.left, c.participation) for c in changes] == [(2, UUID(int=3), None), (3, None, part(4))]
