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
"""How often it is looked for what a process left behind that has died."""
_CONVERSATIONS = 50
"""So many are indexed by one statement, of each so many messages."""
_MESSAGES = 100


class _Behind(Struct, frozen=True):
    org_id: UUID
    conversation_id: UUID


class Indexer:
    """Indexes what is heeded, and now and then whatever there is."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._heeded: set[tuple[UUID, UUID]] = set()
        self._wake = asyncio.Event()
        self._look_at = 0.0

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
            self._heeded.update(await self._behind())
            self._look_at = now + _LOOK_S
        await self._all()
        return self._look_at - now

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

    async def _behind(self) -> list[tuple[UUID, UUID]]:
        async with self._database.across_orgs() as tx:
            found = await tx.rows(
                _Behind,
                """
                select c.org_id, c.id as conversation_id from messaging.conversations c
                left join messaging.indexed i on i.org_id = c.org_id and i.conversation_id = c.id
                where c.head_seq > coalesce(i.seq, 0) order by c.org_id, c.id limit 10000
                """,
            )
        return [(each.org_id, each.conversation_id) for each in found]

    async def _index(self, some: list[tuple[UUID, UUID]]) -> list[tuple[UUID, UUID]]:
        """Index the next messages of these conversations; those of which there may be more.

        Nothing is locked: who edits or deletes one meanwhile writes its words itself, and those that are there stay.
        """
        async with self._database.transaction(list({org_id for org_id, _ in some})) as tx:
            found = await tx.rows(
                _Behind,
                """
                with heeded as materialized (
                    select c.org_id, c.id as conversation_id, c.head_seq as head,
                        coalesce((
                            select i.seq from messaging.indexed i where i.org_id = c.org_id and i.conversation_id = c.id
                        ), 0) as done
                    from unnest($1::uuid[], $2::uuid[]) as w (org_id, id)
                    join messaging.conversations c on c.org_id = w.org_id and c.id = w.id
                ), said as materialized (
                    select h.org_id, h.conversation_id, m.seq, m.text from heeded h
                    cross join lateral (
                        select m.seq, m.text from messaging.messages m
                        where m.org_id = h.org_id and m.conversation_id = h.conversation_id
                            and m.seq > h.done and m.seq <= h.head
                        order by m.seq limit $3
                    ) m
                ), put as (
                    insert into messaging.words (org_id, conversation_id, seq, search)
                    select s.org_id, s.conversation_id, s.seq,
                        messaging.lexemes(s.text) || array_to_tsvector(array[' ' || s.conversation_id::text])
                    from said s
                    on conflict (org_id, conversation_id, seq) do nothing
                ), reached as (
                    select h.org_id, h.conversation_id, count(s.seq) = $3 as more,
                        case when count(s.seq) = $3 then max(s.seq) else h.head end as seq
                    from heeded h
                    left join said s on s.org_id = h.org_id and s.conversation_id = h.conversation_id
                    group by h.org_id, h.conversation_id, h.head
                ), marked as (
                    insert into messaging.indexed as i (org_id, conversation_id, seq)
                    select r.org_id, r.conversation_id, r.seq from reached r order by r.org_id, r.conversation_id
                    on conflict (org_id, conversation_id) do update set seq = greatest(i.seq, excluded.seq)
                )
                select r.org_id, r.conversation_id from reached r where r.more
                """,
                [org_id for org_id, _ in some],
                [conversation_id for _, conversation_id in some],
                _MESSAGES,
            )
        return [(each.org_id, each.conversation_id) for each in found]
