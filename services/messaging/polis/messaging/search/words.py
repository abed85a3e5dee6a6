"""Words of messages: written a moment after the messages, so that nobody waits for an index who says something."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from polis.service.rounds import rounds

if TYPE_CHECKING:
    from polis.db import Database

_TOGETHER_S = 0.2
"""What is said within this is indexed together."""
_LOOK_S = 60.0
"""How often it is looked for what was left behind: by a process that has died, or by one whose caller had gone."""
_LOOKED_AT = 5_000
"""Conversations that are looked at then, the next ones each time. All of them are when a process starts."""
_CONVERSATIONS = 50
"""So many are indexed by one statement, of each so many messages."""
_MESSAGES = 256
_FIRST = (UUID(int=0), UUID(int=0))


class _Looked(Struct, frozen=True):
    """A conversation that is behind, or the last one of those that were looked at, behind which there are more."""

    org_id: UUID
    conversation_id: UUID
    behind: bool
    last: bool


class Indexer:
    """Indexes what is heeded, and now and then whatever there is."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._heeded: set[tuple[UUID, UUID]] = set()
        self._wake = asyncio.Event()
        self._look_at = 0.0
        self._looked: tuple[UUID, UUID] | None = None

    def heed(self, org_id: UUID, conversation_id: UUID) -> None:
        """Something was said in a conversation."""
        self._heeded.add((org_id, conversation_id))
        self._wake.set()

    async def keep(self) -> None:
        """For as long as the service runs."""
        await rounds("words", self._turn, every_s=_LOOK_S, wake=self._wake, together_s=_TOGETHER_S)

    async def _turn(self) -> float:
        """Index what is heeded; seconds until to look for more."""
        now = asyncio.get_running_loop().time()
        if now >= self._look_at:
            await self._look_around()
            self._look_at = now + _LOOK_S
        await self._all()
        return self._look_at - now

    async def _look_around(self) -> None:
        """Heed those of the next conversations that are behind; at the start, of all."""
        if self._looked is not None:
            self._looked = await self._look(self._looked)
            return
        after = await self._look(_FIRST)
        while after != _FIRST:
            after = await self._look(after)
        self._looked = after

    async def _look(self, after: tuple[UUID, UUID]) -> tuple[UUID, UUID]:
        """Heed what is behind among the conversations that follow this one; up to where they were looked at."""
        async with self._database.across_orgs() as tx:
            found = await tx.rows(_Looked, BEHIND, *after, _LOOKED_AT)
        self._heeded.update((each.org_id, each.conversation_id) for each in found if each.behind)
        return next(((each.org_id, each.conversation_id) for each in found if each.last), _FIRST)

    async def _all(self) -> None:
        heeded, self._heeded = self._heeded, set()
        try:
            while heeded:
                some = sorted(heeded)[:_CONVERSATIONS]
                more = await self._index(some)
                heeded.difference_update(some)
                heeded.update(more)
        finally:
            self._heeded |= heeded

    async def _index(self, some: list[tuple[UUID, UUID]]) -> list[tuple[UUID, UUID]]:
        """Index the next messages of these conversations; those of which there may be more."""
        places: list[int] | None = await self._database.write_at_once(
            list({org_id: None for org_id, _ in some}),
            "select messaging.index_words($1::uuid[], $2::uuid[], $3) as places",
            [org_id for org_id, _ in some],
            [conversation_id for _, conversation_id in some],
            _MESSAGES,
        )
        return [some[place - 1] for place in places or ()]


BEHIND = """
    select s.org_id, s.conversation_id, s.behind, s.last from (
        select c.org_id, c.conversation_id, c.nth = $3 as last, c.head_seq > coalesce((
            select i.seq from messaging.indexed i where i.org_id = c.org_id and i.conversation_id = c.conversation_id
        ), 0) as behind
        from (
            select c.org_id, c.id as conversation_id, c.head_seq, row_number() over (order by c.org_id, c.id) as nth
            from messaging.conversations c where (c.org_id, c.id) > ($1, $2) order by c.org_id, c.id limit $3
        ) c
    ) s
    where s.behind or s.last
"""
