"""The events that triggers and runs follow: one consumer for each service that tells them, which delivers what is followed alone.

What is followed differs from hour to hour, so the consumer's subjects are changed with it: an org's events of a kind
reach the runtime only while one of its triggers listens to them, or one of its runs, and a minute longer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from msgspec import Struct

from polis.bus import BusError
from polis.bus.follow import ACK_WAIT_S, MAX_ACK_PENDING, follow
from polis.bus.jetstream import Delivery, PullConsumer
from polis.bus.permissions import followed_name, stream_name
from polis.db.leadership import lock_number
from polis.proto import Refused
from polis.proto.contract import events
from polis.runtime.triggers.firing import passes
from polis.runtime.triggers.following import Followed
from polis.service.rounds import rounds
from polis.telemetry import log, trace

if TYPE_CHECKING:
    from polis.db import Transaction
    from polis.service import Kernel
    from polis.service.tasks import Tasks

LOOK_S = 5.0
"""How soon a process pulls from a consumer that another one has made."""
ANEW_S = 600.0
"""How often consumers are declared again although nothing has changed: the broker may have lost them."""
_NARROWED_S = 60.0
"""How long what nobody follows any more may still be delivered: runs that wait come and go."""
_ORGS_NAMED = 100
"""With more orgs than these that follow a kind of event, all orgs' events of the kind are delivered."""
_SOON_S = 0.5
_LOCK = lock_number("polis runtime trigger feeds")
_DELIVERIES = 20
"""Deliveries after which an event that never came to an end is given up: it may be killing the process."""
_AGAIN_S = (0.2, 0.5, 1.0, 2.0, 5.0)
_MOST_TRIES = 8
_MOST_REFUSALS = 120
"""Some ten minutes of a refusal that no outage explains: after that, what is refused for good would keep others from being heard."""


Hear = Callable[[Followed], Awaitable[None]]


class _Listening(Struct, frozen=True):
    event: str
    org: str


class Feed:
    """Keeps consumers to what is followed, and takes what they deliver."""

    def __init__(self, kernel: Kernel, hearers: Sequence[Hear], tasks: Tasks) -> None:
        self._kernel = kernel
        self._hearers = hearers
        self._tasks = tasks
        self._pulling: set[str] = set()
        self._slots = asyncio.Semaphore(MAX_ACK_PENDING)
        self._anew_s = ANEW_S
        self.changed = asyncio.Event()
        kernel.bus.on_reconnect.append(self._doubt)

    async def run(self) -> None:
        """For as long as the process lives."""
        await rounds("followed events", self._turn, every_s=LOOK_S, wake=self.changed)

    async def _turn(self) -> float | None:
        sources = await self._agree()
        for source in sources or ():
            self._pull(source)
        return _SOON_S if sources is None else None

    def _doubt(self) -> None:
        """The broker may have lost its consumers."""
        self._anew_s = 0.0
        self.changed.set()

    async def _agree(self) -> list[str] | None:
        """Have each consumer deliver what is followed; the services whose events are followed. None: another is at it."""
        async with self._kernel.database.across_orgs() as tx:
            if not await tx.value("select pg_try_advisory_xact_lock($1)", _LOCK):
                return None
            listening = await tx.rows(
                _Listening,
                """
                with recursive waiting as (
                    -- One look at the index for each org and event, however many wait.
                    (select w.org_id, w.event from runtime.event_waits w where w.open
                        order by w.org_id, w.event limit 1)
                    union all
                    select n.org_id, n.event from waiting k cross join lateral (
                        select w.org_id, w.event from runtime.event_waits w
                        where w.open and (w.org_id, w.event) > (k.org_id, k.event)
                        order by w.org_id, w.event limit 1) as n
                )
                select l.event, t.org_id::text as org from runtime.triggers t, unnest(t.listens) as l (event)
                where t.listens is not null and t.ended_at is null and t.paused_at is null
                union select k.event, k.org_id::text from waiting k order by 1, 2
                """,
            )
            wanted = subjects(listening)
            for source in sorted({*wanted, *await _known(tx)}):
                await self._tell(tx, source, wanted.get(source, [f"event.{source}.nothing"]))
        self._anew_s = ANEW_S
        return sorted(wanted)

    async def _tell(self, tx: Transaction, source: str, subjects: Sequence[str]) -> None:
        changed = await tx.execute(
            """
            insert into runtime.trigger_feeds as f (source, subjects, told_at) values ($1, $2, clock_timestamp())
            on conflict (source) do update set subjects = excluded.subjects, told_at = excluded.told_at
            where not f.subjects @> excluded.subjects
                or f.told_at < clock_timestamp() - make_interval(secs => $3)
                or f.subjects <> excluded.subjects and f.told_at < clock_timestamp() - make_interval(secs => $4)
            """,
            source,
            list(subjects),
            self._anew_s,
            _NARROWED_S,
        )
        if changed:
            await follow(self._kernel.bus, source, self._kernel.service, subjects)

    async def follows(self, wanted: set[tuple[str, str]]) -> bool:
        """Whether these (event, org), which are listened to, are delivered from now on; they are, or another process is at it."""
        async with self._kernel.database.across_orgs() as tx:
            # Who changes what is delivered holds this alone: whoever comes after it knows that they are listened to.
            await tx.value("select pg_advisory_xact_lock_shared($1)", _LOCK)
            told = set(await tx.rows(str, "select unnest(f.subjects) from runtime.trigger_feeds f"))
        if all({f"event.{event}.{org}.*", f"event.{event}.*.*"} & told for event, org in wanted):
            return True
        sources = await self._agree()
        for source in sources or ():
            self._pull(source)
        return sources is not None

    def _pull(self, source: str) -> None:
        if source not in self._pulling:
            self._pulling.add(source)
            self._tasks.start(self._consume(source), name=f"trigger events of {source}")

    async def _consume(self, source: str) -> None:
        durable = followed_name(self._kernel.service, source)
        try:
            async for delivery in PullConsumer(self._kernel.bus, stream_name(source), durable).messages():
                await self._slots.acquire()
                task = self._tasks.start(self._take(delivery), name=f"event {delivery.stream_seq}")
                task.add_done_callback(lambda _: self._slots.release())
        finally:
            self._pulling.discard(source)

    async def _take(self, delivery: Delivery) -> None:
        """Fire what follows an event, for as long as an outage takes; what is broken otherwise is given up, and logged."""
        failures = refusals = attempt = 0
        if delivery.num_delivered > _DELIVERIES:
            log.error("event.unfired", subject=delivery.subject, deliveries=delivery.num_delivered)
            delivery.term("delivered too often")
            return
        with trace.enter(trace.parse(delivery.headers.get("traceparent"))), _at_work(delivery):
            while True:
                try:
                    followed = Followed.of(delivery.headers, delivery.payload, delivery.stream_seq)
                    if followed is not None:
                        await self._hear(followed)
                except Refused as refusal:
                    log.warning("event.postponed", subject=delivery.subject, problem=refusal.problem.type)
                    refusals += not passes(refusal)
                    if refusals >= _MOST_REFUSALS:
                        log.error("event.unfired", subject=delivery.subject, exc_info=refusal)
                        delivery.term("refused")
                        return
                except Exception as error:  # noqa: BLE001 - a defect of ours must not stop the feed
                    failures += 1
                    log.error("event.unfired", subject=delivery.subject, exc_info=error)
                    if failures >= _MOST_TRIES:
                        delivery.term("not fired")
                        return
                else:
                    delivery.ack()
                    return
                await asyncio.sleep(_AGAIN_S[min(attempt, len(_AGAIN_S) - 1)])
                attempt += 1

    async def _hear(self, event: Followed) -> None:
        """What goes wrong with one of those who hear is raised behind the others; with more than one, the rest is logged."""
        heard = await asyncio.gather(*(hear(event) for hear in self._hearers), return_exceptions=True)
        failures = [failure for failure in heard if failure is not None]
        for failure in failures[1:]:
            log.error("event.unheard", event_type=event.type, exc_info=failure)
        if failures:
            raise failures[0]


@contextmanager
def _at_work(delivery: Delivery) -> Iterator[None]:
    """Keep an event from being delivered to another process meanwhile."""
    loop, every_s = asyncio.get_running_loop(), ACK_WAIT_S / 3
    timer: asyncio.TimerHandle

    def beat() -> None:
        nonlocal timer
        with suppress(BusError):
            delivery.in_progress()
        timer = loop.call_later(every_s, beat)

    timer = loop.call_later(every_s, beat)
    try:
        yield
    finally:
        timer.cancel()


def subjects(listening: Sequence[_Listening]) -> dict[str, list[str]]:
    """The subjects that are followed, by the service that publishes them."""
    orgs: dict[str, list[str]] = {}
    for each in listening:
        orgs.setdefault(each.event, []).append(each.org)
    known = {f"{event.service}.{event.fact}" for event in events()}
    found: dict[str, list[str]] = {}
    for event, those in orgs.items():
        if event in known:
            named = those if len(those) <= _ORGS_NAMED else ["*"]
            found.setdefault(event.partition(".")[0], []).extend(f"event.{event}.{org}.*" for org in named)
    return found


async def _known(tx: Transaction) -> list[str]:
    return await tx.rows(str, "select f.source from runtime.trigger_feeds f order by f.source")
