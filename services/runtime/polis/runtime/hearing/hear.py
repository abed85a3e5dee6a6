"""An event is brought to the runs that wait for it: to those whose condition holds, and who may read what it tells."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from polis.bus import BusError
from polis.proto import Refused, identity
from polis.proto.problems import Unavailable
from polis.runtime.component import StepFailed
from polis.runtime.components.expressions import compiled
from polis.runtime.engine.activation import Failure, Recorded
from polis.runtime.engine.attempts import MAX_RESULT_BYTES
from polis.runtime.hearing import rows
from polis.runtime.waits.complete import Outcome, complete_all
from polis.telemetry import log

if TYPE_CHECKING:
    from polis.db import Database
    from polis.runtime.hearing.rows import Listener
    from polis.runtime.hearing.told import Stream
    from polis.runtime.triggers.following import Followed
    from polis.runtime.triggers.stand_in import StandIn
    from polis.runtime.waits.complete import Told

_SLICE_S = 0.002
"""For so long conditions are looked at before others have the loop."""
_BROUGHT_AT_ONCE = 200
_VARIABLES = ("event", "item")


class Hearing:
    """Brings events to waits."""

    def __init__(self, database: Database, stream: Stream, stand_in: StandIn, peers: Told) -> None:
        self.database = database
        self._stream = stream
        self._stand_in = stand_in
        self._peers = peers

    async def hear(self, event: Followed) -> None:
        """An event that was told now, or some time ago. Refused when it may go better later.

        Events are heard in any order. A wait that one is for gets first what stands in front of it in the stream.
        """
        at = datetime.fromisoformat(event.time)
        waits = await rows.listening(
            self.database.tenant(event.org_id), event.type, event.entity, at, event.seq
        )
        alike: defaultdict[tuple[str, bool], list[Listener]] = defaultdict(list)
        for wait in await _wanted(event, waits):
            alike[wait.entity, wait.looked].append(wait)
        for those in alike.values():
            try:
                left = await self.bring_in_order(self._stream.before(event, those), those)
            except BusError as error:
                raise Refused(Unavailable(dependency="nats"), str(error)) from error
            await self._bring_to(event, left)

    async def bring_in_order(
        self, told: AsyncGenerator[Followed, None], waits: Sequence[Listener]
    ) -> list[Listener]:
        """Bring what was told to waits for the same type and entity, to each the first that it is for; who got none."""
        left = {wait.id: wait for wait in waits}
        async with aclosing(told):
            async for event in told:
                at = datetime.fromisoformat(event.time)
                may = [w for w in left.values() if w.since <= at and w.after_seq < event.seq]
                for done in await self.bring(event, may):
                    del left[done]
                if not left:
                    break
        return list(left.values())

    async def bring(self, event: Followed, waits: Sequence[Listener]) -> set[UUID]:
        """Bring an event to those that it is for; their ids."""
        wanted = await _wanted(event, waits)
        await self._bring_to(event, wanted)
        return {wait.id for wait in wanted}

    async def _bring_to(self, event: Followed, waits: Sequence[Listener]) -> None:
        for start in range(0, len(waits), _BROUGHT_AT_ONCE):
            await self._bring(event, waits[start : start + _BROUGHT_AT_ONCE])

    async def _bring(self, event: Followed, waits: Sequence[Listener]) -> None:
        actors = await rows.actors(self.database.tenant(event.org_id), waits)
        readers = {actor for actor in set(actors.values()) if await self._reads(event, actor)}
        told, refused = _told(event), _refused(event)
        async with self.database.transaction([event.org_id]) as tx:
            found = await rows.open_waits(tx, waits)
            brought = [Outcome(w, told if actors.get(w.id) in readers else refused) for w in found]
            if brought:
                completed = await complete_all(tx, brought, "completed")
                await rows.took(tx, found, event.seq)
                tx.after_commit(lambda: self._peers.tell([each.run_id for each in completed]))

    async def _reads(self, event: Followed, principal_id: UUID) -> bool:
        """Whether they may read what such events tell, as identity says it now."""
        scope = event.type.partition(".")[0] + ":read"
        try:
            return scope in (await self._stand_in.actor(event.org_id, principal_id, [scope])).scopes
        except Refused as refusal:
            if isinstance(refusal.problem, identity.PrincipalNotFound):
                return False
            raise


async def _wanted(event: Followed, waits: Sequence[Listener]) -> list[Listener]:
    """Those that the event is for."""
    value, loop, wanted = event.value, asyncio.get_running_loop(), []
    until = loop.time() + _SLICE_S
    for wait in waits:
        if _holds(wait, value):
            wanted.append(wait)
        if loop.time() >= until:
            await asyncio.sleep(0)
            until = loop.time() + _SLICE_S
    return wanted


def _holds(wait: Listener, value: dict[str, object]) -> bool:
    """An event on which the condition fails is not the one: it may be of another form."""
    if not wait.condition:
        return True
    variables = {"event": value, "item": msgspec.json.decode(wait.item)}
    try:
        return compiled(wait.condition, _VARIABLES).holds(variables)
    except StepFailed as failure:
        log.info("event.passed_over", run_id=str(wait.run_id), event_type=wait.event, problem=failure.kind)
        return False


def _told(event: Followed) -> bytes:
    body = msgspec.json.encode(Recorded(emitted=(("out", event.value),)))
    if len(body) <= MAX_RESULT_BYTES:
        return body
    return _failed("event.too_large", f"{len(body):,} bytes of JSON; {MAX_RESULT_BYTES:,} are the most")


def _refused(event: Followed) -> bytes:
    scope = event.type.partition(".")[0] + ":read"
    return _failed("event.forbidden", f"whom the run acts as has no scope `{scope}` any more")


def _failed(kind: str, why: str) -> bytes:
    return msgspec.json.encode(Recorded(failure=Failure(kind, why)))
