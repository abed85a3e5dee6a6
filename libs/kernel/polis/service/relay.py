"""The outbox relay: publishes committed events to the service's stream, in order, and repairs the stream after a loss.

One relay per service leads (an advisory lock); it is the stream's only writer. Each publish names the sequence that the
stream must stand at, so a window of many can be in flight, an event can neither be stored twice nor overtake another,
and a relay that lost its leadership is refused by the stream itself. The outbox keeps published rows for a day: a stream
that comes back behind the relay's record (wiped, or its tail lost in a power cut) gets them again, under a new epoch.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from msgspec import to_builtins

from polis.bus import BusError
from polis.bus.jetstream import MSG_ID, Entry, Log
from polis.bus.permissions import stream_name
from polis.db import leadership, outbox
from polis.proto import Refused
from polis.service.envelope import lines_of
from polis.telemetry import log, metrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from polis.db.leadership import Lead
    from polis.db.outbox import Position, Row
    from polis.service.kernel import Kernel

WINDOW = 500
"""Events published before their acknowledgements are awaited."""
ADOPTED = 100
"""Messages that are looked up in the stream at a time."""
POLL_S = 0.5
"""The longest an event waits of which nobody told the relay: its process died, or its word was lost."""
PACE_S = 0.01
"""From one look to the next, unless more waits than a window holds: what is committed in between shares a look and a record.

From one word to the leader to the next, too.
"""
PUBLISH_TIMEOUT_S = 5.0
COMPARE_S = 10.0
"""How often the stream is compared with the record; after a reconnect at once, for the broker may have lost its store."""
_RETRY_S = (0.1, 0.2, 0.5, 1.0, 2.0)
_TROUBLE = (BusError, Refused)


class Relay:
    """Publishes the events of one service while this process leads; while another does, tells that one of what is committed here."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._stream = stream_name(kernel.service)
        self._log = Log(kernel.bus, self._stream)
        self._committed = f"peer.{kernel.service}.committed"
        self._wake = asyncio.Event()
        self._compare_at = 0.0
        self._leads = False
        self._telling: asyncio.TimerHandle | None = None
        self._tell_at = 0.0
        kernel.database.on_emit(lambda _: self._on_commit())
        kernel.bus.on_reconnect.append(self._doubt)

    async def run(self) -> None:
        """Lead and publish until cancelled; trouble is logged, waited out and tried again."""
        attempt = 0
        while True:
            try:
                async with leadership.lead(self._kernel.database, "relay") as leading, self._told():
                    position = await self._reconcile(leading)
                    attempt = 0
                    while leading():
                        if time.monotonic() >= self._compare_at:
                            position = await self._reconcile(leading, position)
                        position = await self._publish_pending(leading, position)
            except Exception as error:  # noqa: BLE001 - told, and tried again: nothing else would publish
                wait = _RETRY_S[min(attempt, len(_RETRY_S) - 1)]
                attempt += 1
                if isinstance(error, _TROUBLE):
                    log.warning("relay.trouble", stream=self._stream, trouble=repr(error), retry_in_s=wait)
                else:
                    log.error("relay.failed", stream=self._stream, retry_in_s=wait, exc_info=error)
                await asyncio.sleep(wait)

    @asynccontextmanager
    async def _told(self) -> AsyncIterator[None]:
        """Who leads hears what the service's other processes have committed."""
        heard = await self._kernel.bus.subscribe(self._committed, lambda _: self._wake.set())
        self._leads = True
        try:
            yield
        finally:
            self._leads = False
            heard.unsubscribe()

    def _on_commit(self) -> None:
        if self._leads:
            self._wake.set()
        elif self._telling is None:
            loop = asyncio.get_running_loop()
            self._telling = loop.call_at(max(self._tell_at, loop.time()), self._tell)

    def _tell(self) -> None:
        """What is lost of it the leader finds a moment later."""
        self._telling = None
        self._tell_at = asyncio.get_running_loop().time() + PACE_S
        with suppress(BusError):
            self._kernel.bus.publish(self._committed, b"")

    def _doubt(self) -> None:
        self._compare_at = 0.0
        self._wake.set()

    async def _publish_pending(self, lead: Lead, position: Position) -> Position:
        """Publish a window of what waits; then, unless more of it is left, rest until something is committed."""
        self._wake.clear()
        next_at = time.monotonic() + PACE_S
        rows, position = await outbox.pending(lead, position, limit=WINDOW)
        metrics.outbox_pending.set(len(rows))
        if rows:
            position = await self._publish(lead, rows, position)
        if len(rows) < WINDOW:
            metrics.outbox_pending.set(0)
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await self._wake.wait()
            await asyncio.sleep(next_at - time.monotonic())
        return position

    async def _publish(self, lead: Lead, rows: list[Row], position: Position) -> Position:
        """Send a window and record what was stored, also when only its first part was."""
        appended = await self._log.append(
            [self._entry(row) for row in rows],
            expected_last_seq=position.last_seq,
            timeout_s=PUBLISH_TIMEOUT_S,
        )
        if appended.stored:
            position = await outbox.mark_published(
                lead,
                rows[: appended.stored],
                first_seq=position.last_seq + 1,
                position=position,
            )
            metrics.events_published.inc(appended.stored)
        if appended.failure is not None:
            raise appended.failure
        return position

    def _entry(self, row: Row) -> Entry:
        event_id = to_builtins(row.id)
        lines = lines_of(
            self._kernel.service,
            row.fact,
            id=event_id,
            entity=row.entity,
            time=row.created_at,
            trace=row.trace or "",
        )
        return Entry(row.subject, row.payload, lines, event_id)

    async def _reconcile(self, lead: Lead, position: Position | None = None) -> Position:
        """Agree with the stream on what it holds: mark what it has and we did not know, publish again what it lost."""
        self._compare_at = time.monotonic() + COMPARE_S
        position = position or await outbox.position(lead, self._stream)
        state = await self._log.info()
        known = await self._known_to(lead, state.last_seq) if position.last_seq else True
        if state.last_seq < position.last_seq or not known:
            keep = state.last_seq if known and state.last_seq else 0
            position = await outbox.publish_again(lead, self._stream, after_seq=keep, last_seq=state.last_seq)
            log.warning("relay.stream_lost_events", stream=self._stream, last_seq=keep, epoch=position.epoch)
        elif state.last_seq > position.last_seq:
            position = await self._adopt(lead, position, state.last_seq)
        return position

    async def _known_to(self, lead: Lead, last_seq: int) -> bool:
        """Whether the stream's last message is the one that the outbox remembers at that sequence."""
        if last_seq == 0:
            return True
        remembered = await outbox.id_at(lead, last_seq)
        if remembered is None:
            return True
        message = await self._log.message(last_seq)
        return message is not None and message.get(MSG_ID) == str(remembered)

    async def _adopt(self, lead: Lead, position: Position, last_seq: int) -> Position:
        """Mark rows that were stored by a relay which ended before it could: a window at the most, if it was one of ours."""
        while position.last_seq < last_seq:
            until = min(position.last_seq + ADOPTED, last_seq)
            found = await asyncio.gather(
                *(self._log.message(seq) for seq in range(position.last_seq + 1, until + 1))
            )
            ids = [headers.get(MSG_ID) if headers else None for headers in found]
            position = await outbox.mark_stored(lead, ids, position=position)
        return position
