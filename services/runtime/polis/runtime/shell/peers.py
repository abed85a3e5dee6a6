"""What processes of the runtime tell each other: which runs have changed in the database, so that who has them looks.

Lossy: what nobody heard is found with the next beat.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.bus import Disconnected
from polis.runtime.engine.activation import Recorded
from polis.runtime.engine.item import parse, text
from polis.service.rounds import rounds

if TYPE_CHECKING:
    from polis.bus import Message
    from polis.runtime.shell.executor import Executor
    from polis.runtime.shell.live import Live
    from polis.service import Kernel

SUBJECT = "peer.runtime.changed"
_MOST_TOLD = 2_000
"""Runs in one message."""
_IDLE_S = 60.0
"""Nothing is to be looked at then; who was told something is woken."""

_ids = msgspec.json.Decoder(tuple[UUID, ...])
_recorded = msgspec.json.Decoder(Recorded)


class _Brought(Struct, frozen=True):
    """The outcome of a wait. Without an item: that the run is still this process's own, and whether it is paused."""

    run_id: UUID
    paused: bool
    node: str | None
    item: str | None
    body: bytes | None


class Peers:
    """Tells the others, hears them, and looks at what has changed of the runs that are executed here."""

    def __init__(self, kernel: Kernel, executor: Executor) -> None:
        self._kernel = kernel
        self._executor = executor
        self._wanted: set[UUID] = set()
        self._heard = asyncio.Event()

    async def listen(self) -> None:
        await self._kernel.bus.subscribe(SUBJECT, self._on_message)

    async def keep(self) -> None:
        """Look at what was heard of, one group after another, for as long as the process lives."""
        await rounds("what peers tell", self._look_at_heard, every_s=_IDLE_S, wake=self._heard)

    async def _look_at_heard(self) -> None:
        """What is lost when this fails the next beat looks at."""
        wanted, self._wanted = self._wanted, set()
        await self.look(wanted)

    def tell(self, runs: Iterable[UUID]) -> None:
        """Runs have changed, in a transaction that has committed; one that nobody executes is to be executed now."""
        changed = list(dict.fromkeys(runs))
        self.hear(changed)
        for start in range(0, len(changed), _MOST_TOLD):
            payload = msgspec.json.encode(changed[start : start + _MOST_TOLD])
            try:
                self._kernel.bus.publish(SUBJECT, payload)
            except Disconnected:
                return
        if any(self._executor.find(run_id) is None for run_id in changed):
            self._executor.look_for_work()

    def hear(self, runs: Iterable[UUID]) -> None:
        """Look at those of these runs that are executed here."""
        wanted = [run_id for run_id in runs if self._executor.find(run_id) is not None]
        if wanted:
            self._wanted.update(wanted)
            self._heard.set()

    async def look(self, runs: Iterable[UUID]) -> None:
        """Take what was brought for runs that are executed here; leave those that are not this process's own any more."""
        here = {run_id: live for run_id in runs if (live := self._executor.find(run_id)) is not None}
        if not here:
            return
        own = set[UUID]()
        for found in await self._read(here):
            own.add(found.run_id)
            live = here[found.run_id]
            live.pause(paused=found.paused)
            if found.node is not None and found.item is not None and found.body is not None:
                _bring(live, found.node, found.item, found.body)
        for run_id, live in here.items():
            if run_id not in own and self._executor.find(run_id) is live:
                self._executor.drop(run_id)

    async def _read(self, here: dict[UUID, Live]) -> list[_Brought]:
        waits = [
            (live.execution.run.org_id, run_id, node, text(item))
            for run_id, live in here.items()
            for node, item in live.execution.machine.outside.open
        ]
        async with self._kernel.database.across_orgs() as tx:
            return await tx.rows(
                _Brought,
                """
                with own as (
                    select r.org_id, r.id, r.paused_at is not null as paused from unnest($1::uuid[], $2::uuid[]) as h (org_id, id)
                    join runtime.runs r on r.org_id = h.org_id and r.id = h.id
                    where r.owner = $3 and r.ended_at is null
                )
                select id as run_id, paused, null as node, null as item, null as body from own
                union all
                select j.run_id, own.paused, j.node, j.item, j.body
                from unnest($4::uuid[], $5::uuid[], $6::text[], $7::text[]) as w (org_id, run_id, node, item)
                join own on own.org_id = w.org_id and own.id = w.run_id
                join runtime.journal j on j.org_id = w.org_id and j.run_id = w.run_id and j.node = w.node
                    and j.item = w.item
                """,
                [live.execution.run.org_id for live in here.values()],
                list(here),
                self._executor.incarnation,
                [org_id for org_id, _, _, _ in waits],
                [run_id for _, run_id, _, _ in waits],
                [node for _, _, node, _ in waits],
                [item for _, _, _, item in waits],
            )

    def _on_message(self, message: Message) -> None:
        try:
            self.hear(_ids.decode(message.payload))
        except msgspec.DecodeError:
            return  # of another version


def _bring(live: Live, node: str, item: str, body: bytes) -> None:
    try:
        place, outcome = parse(item), _recorded.decode(body)
    except ValueError as error:  # what is no JSON of it, too: it is this run's end, and nobody else's
        live.execution.broke(error)
    else:
        live.take(node, place, outcome)
