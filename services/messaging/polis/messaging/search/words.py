"""Words of messages: written a moment after the messages, so that nobody waits for an index who says something."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from polis.proto import Refused
from polis.telemetry import log

if TYPE_CHECKING:
    from polis.db import Database

_TOGETHER_S = 0.2
"""What is said within this is indexed together."""
_LOOK_S = 60.0
"""How often it is looked for what a process left behind that has died."""
_BATCH = 500


class _Behind(Struct, frozen=True):
    org_id: UUID
    conversation_id: UUID


class _Step(Struct, frozen=True):
    count: int
    last: int


class Indexer:
    """Indexes what is heeded, and now and then whatever there is."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._heeded: set[tuple[UUID, UUID]] = set()
        self._wake = asyncio.Event()

    def heed(self, org_id: UUID, conversation_id: UUID) -> None:
        """Something was said in a conversation."""
        self._heeded.add((org_id, conversation_id))
        self._wake.set()

    async def keep(self) -> None:
        """For as long as the service runs."""
        loop = asyncio.get_running_loop()
        look_at = loop.time()
        while True:
            try:
                if loop.time() >= look_at:
                    look_at = loop.time() + _LOOK_S
                    self._heeded.update(await self._behind())
                await self._all()
            except Refused as refusal:
                log.warning("indexing.postponed", problem=refusal.problem.type)
            try:
                async with asyncio.timeout_at(look_at):
                    await self._wake.wait()
            except TimeoutError:
                continue
            await asyncio.sleep(_TOGETHER_S)
            self._wake.clear()

    async def _all(self) -> None:
        heeded, self._heeded = self._heeded, set()
        try:
            while heeded:
                org_id, conversation_id = next(iter(heeded))
                while await self._index(org_id, conversation_id):
                    pass
                heeded.discard((org_id, conversation_id))
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

    async def _index(self, org_id: UUID, conversation_id: UUID) -> bool:
        """Index the next messages of a conversation; whether there may be more.

        Nothing is locked: who edits or deletes one meanwhile writes its words itself, and those that are there stay.
        """
        async with self._database.transaction([org_id]) as tx:
            done = await tx.value(
                """
                select coalesce((select i.seq from messaging.indexed i where i.org_id = $1 and i.conversation_id = $2), 0)
                """,
                org_id,
                conversation_id,
            )
            head = await tx.value(
                "select c.head_seq from messaging.conversations c where c.org_id = $1 and c.id = $2",
                org_id,
                conversation_id,
            )
            step = await tx.row(
                _Step,
                """
                with said as materialized (
                    select m.seq, m.text from messaging.messages m
                    where m.org_id = $1 and m.conversation_id = $2 and m.seq > $3 and m.seq <= $4
                    order by m.seq limit $5
                ), put as (
                    insert into messaging.words (org_id, conversation_id, seq, search)
                    select $1, $2, s.seq, messaging.lexemes(s.text) || array_to_tsvector(array[' ' || $2::text])
                    from said s
                    on conflict (org_id, conversation_id, seq) do nothing
                )
                select count(*)::integer as count, coalesce(max(s.seq), 0) as last from said s
                """,
                org_id,
                conversation_id,
                done,
                head or 0,
                _BATCH,
            )
            more = step is not None and step.count == _BATCH
            reached = step.last if step is not None and more else head or 0
            await tx.execute(
                """
                insert into messaging.indexed as i (org_id, conversation_id, seq) values ($1, $2, $3)
                on conflict (org_id, conversation_id) do update set seq = greatest(i.seq, excluded.seq)
                """,
                org_id,
                conversation_id,
                reached,
            )
        return more
