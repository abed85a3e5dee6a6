"""The topic `asks`: what somebody may answer, as it is and as it changes.

Who may answer what is the runtime's to say, by name, role or grant.
"""

from __future__ import annotations

from uuid import UUID

from polis.gateway.lists import ListWatch
from polis.proto import Event
from polis.proto.runtime import (
    Ask,
    AskAnswered,
    AskDelegated,
    AskEscalated,
    AskExpired,
    AskOpened,
    AskWithdrawn,
    InboxChange,
    InboxSnapshot,
    ListAsks,
)

MOST = 200
"""Asks of an inbox that are followed: the newest."""
OF_ASKS = (AskOpened, AskAnswered, AskExpired, AskWithdrawn, AskDelegated, AskEscalated)


class InboxWatch(ListWatch[Ask]):
    """One client following what it may answer."""

    quiet_s = 30.0  # an event may have been missed, or a grant given

    async def read(self) -> tuple[dict[UUID, Ask], bool]:
        actor = self.actor()
        page = await self.kernel.caller.call(ListAsks(limit=MOST), token=actor.token, org=str(actor.org_id))
        return {ask.id: ask for ask in page.items}, page.next_cursor is not None

    def concerns(self, event: Event) -> bool:
        """Whether it is of an ask in the inbox, or addresses somebody who may be this one."""
        if getattr(event, "ask_id", None) in self.known:
            return True
        actor, to = self.actor(), getattr(event, "to", ())
        return any(
            addressee.kind == "grant" or addressee.id == actor.principal_id or addressee.role == actor.role
            for addressee in (to if isinstance(to, tuple) else (to,))
        )

    def snapshot(self, seq: int, items: tuple[Ask, ...], *, more: bool) -> InboxSnapshot:
        return InboxSnapshot(seq, items, more)

    def change(self, seq: int, item: Ask | None, left: UUID | None) -> InboxChange:
        return InboxChange(seq, item, left)
