"""Consumers of other services' events: in order per entity, exactly once in effect, and never blocked by poison.

Each listener runs in the transaction that records the event id in this service's inbox; the acknowledgement follows the
commit, so a crash in between means a redelivery that the inbox drops. While one entity's event is tried again, the ones
behind it wait and other entities go on, in whichever process they are (order.py). An event that keeps failing goes to
`dead.<source>.<fact>` with its error.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from polis.bus import BusError
from polis.bus.errors import PermissionViolation
from polis.bus.jetstream import Delivery, PullConsumer, store
from polis.bus.permissions import durable_name, stream_name
from polis.proto import Event, Refused
from polis.proto.contract import event_type_of
from polis.proto.problems import DeadlineExceeded
from polis.service.context import EventContext
from polis.service.envelope import decode
from polis.service.order import Earlier, Order
from polis.telemetry import log, metrics, trace

if TYPE_CHECKING:
    from polis.service.kernel import Kernel

ATTEMPTS = 5
DELIVERIES = 20
"""Deliveries after which an event that never came to an end is taken for poison (it may be killing the process)."""
HANDLER_TIMEOUT_S = 20.0
_BACKOFF_S = (0.1, 0.5, 2.0, 5.0)
_OUTAGE_S = (0.2, 0.5, 1.0, 2.0, 5.0)

Listener = Callable[[Any, EventContext[Any]], Awaitable[None]]


class Inbox:
    """All consumers of one service."""

    def __init__(self, kernel: Kernel, own: object, listeners: dict[type[Event], Listener]) -> None:
        self._kernel = kernel
        self._own = own
        self._listeners = listeners
        self._queues: dict[str, deque[Delivery | Earlier]] = {}
        self._orders: dict[str, Order] = {}
        self._repeated: set[str] = set()
        """Consumers that have lately been given what they knew."""

    def start(self) -> list[asyncio.Task[None]]:
        """One task for each source service that is listened to."""
        sources = {event_type_of(event).service for event in self._listeners}
        return [
            self._kernel.tasks.start(self._consume(source), name=f"inbox {source}")
            for source in sorted(sources)
        ]

    async def _consume(self, source: str) -> None:
        durable = durable_name(self._kernel.service, source)
        consumer = PullConsumer(self._kernel.bus, stream_name(source), durable)
        kinds = map(event_type_of, self._listeners)
        facts = frozenset(kind.fact for kind in kinds if kind.service == source)
        order = self._orders[durable] = Order(self._kernel.bus, source, durable, facts)
        async for delivery in consumer.messages():
            order.note(delivery)
            if durable not in self._repeated:
                self._enqueue(durable, delivery)
                continue
            more = consumer.in_hand()
            for each in more:
                order.note(each)
            for new in await self._new(durable, [delivery, *more]):
                self._enqueue(durable, new)

    async def _new(self, durable: str, deliveries: list[Delivery]) -> list[Delivery]:
        """Those whose events are not known to have had their effect; the others are acknowledged.

        A stream that was lost is told again from its beginning: singly, each event of it would cost a transaction.
        """
        try:
            known = await self._known(durable, deliveries)
        except Refused:
            return deliveries
        new = []
        for delivery in deliveries:
            if _event_id(delivery) in known:
                delivery.ack()
            else:
                new.append(delivery)
        metrics.events_handled.labels(durable, "known").inc(len(deliveries) - len(new))
        if len(new) == len(deliveries):
            self._repeated.discard(durable)
        return new

    async def _known(self, durable: str, told: Sequence[Delivery | Earlier]) -> set[UUID | None]:
        ids = [_event_id(each) for each in told]
        async with self._kernel.database.across_orgs() as tx:
            return set(
                await tx.rows(
                    UUID,
                    f"select event_id from {self._kernel.service}.inbox where consumer = $1 and event_id = any($2::uuid[])",  # noqa: S608 - a checked name
                    durable,
                    [event_id for event_id in ids if event_id is not None],
                )
            )

    def _enqueue(self, durable: str, delivery: Delivery) -> None:
        """Behind the same entity's events if some are at work, else at once; max_ack_pending bounds both."""
        entity = f"{durable} {delivery.subject.rpartition('.')[2]}"
        queue = self._queues.get(entity)
        if queue is not None:
            if all(waiting.stream_seq != delivery.stream_seq for waiting in queue):
                queue.append(delivery)
            return
        self._queues[entity] = deque((delivery,))
        self._kernel.tasks.start(self._work(durable, entity), name=f"events of {entity}")

    async def _work(self, durable: str, entity: str) -> None:
        queue = self._queues[entity]
        try:
            while queue:
                if not isinstance(queue[0], Earlier):
                    await self._precede(durable, queue)
                await self._take(durable, queue)
                self._orders[durable].handled(queue.popleft())
        finally:
            del self._queues[entity]

    async def _precede(self, durable: str, queue: deque[Delivery | Earlier]) -> None:
        """Put before the first what was told before it and another process has in hand, or had."""
        first, attempt = queue[0], 0
        while True:
            try:
                earlier = await self._orders[durable].before(first)
                known = await self._known(durable, earlier) if earlier else set()
            except PermissionViolation as error:
                log.error(
                    "events.unordered", consumer=durable, error=repr(error)
                )  # of a broker's older settings
                return
            except (BusError, Refused) as error:
                log.warning("events.unseen", consumer=durable, error=repr(error))
            else:
                queue.extendleft(each for each in reversed(earlier) if _event_id(each) not in known)
                return
            for waiting in queue:
                waiting.in_progress()
            await asyncio.sleep(_OUTAGE_S[min(attempt, len(_OUTAGE_S) - 1)])
            attempt += 1

    async def _take(self, durable: str, queue: deque[Delivery | Earlier]) -> None:
        """Bring the first delivery to its end: handled, known already, or dead."""
        delivery, outcome = queue[0], "handled"
        try:
            event = decode(delivery.headers, delivery.payload)
            if not await self._attempt(durable, queue, event):
                outcome = "known"
                self._repeated.add(durable)
        except Exception as error:  # noqa: BLE001 - whatever it was, it goes to the dead letters with its text
            await self._bury(durable, delivery, error)
            outcome = "dead"
        else:
            delivery.ack()
        metrics.events_handled.labels(durable, outcome).inc()

    async def _attempt(self, durable: str, queue: deque[Delivery | Earlier], event: Event) -> bool:
        """Handle the first delivery, again after a failure, and for as long as it takes while there is an outage."""
        delivery = queue[0]
        if delivery.num_delivered > DELIVERIES:
            raise RuntimeError(f"delivered {delivery.num_delivered} times without coming to an end")
        failures, outages = 0, 0
        while True:
            try:
                return await self._handle(durable, delivery, event)
            except Refused as refusal:
                if not (refusal.problem.retryable or isinstance(refusal.problem, DeadlineExceeded)):
                    raise
                wait = _OUTAGE_S[min(outages, len(_OUTAGE_S) - 1)]
                outages += 1
            except Exception as error:
                failures += 1
                if failures >= ATTEMPTS:
                    raise
                wait = _BACKOFF_S[failures - 1]
                log.warning("event.retry", consumer=durable, attempt=failures, exc_info=error)
            for waiting in queue:
                waiting.in_progress()
            await asyncio.sleep(wait)

    async def _handle(self, durable: str, delivery: Delivery | Earlier, event: Event) -> bool:
        """Run the listener in the inbox's transaction; false when the event had its effect before."""
        event_id = UUID(delivery.headers["Nats-Msg-Id"])
        listener = self._listeners[type(event)]
        with trace.enter(trace.parse(delivery.headers.get("traceparent"))):
            async with self._kernel.database.transaction([event.org_id]) as tx:
                if not await tx.first_time(durable, event_id):
                    return False
                try:
                    async with asyncio.timeout(HANDLER_TIMEOUT_S):
                        await listener(event, EventContext(self._kernel, self._own, tx))
                except TimeoutError:
                    if tx.unanswered:  # that the database is slow says nothing of the event
                        raise Refused(DeadlineExceeded()) from None
                    raise
        return True

    async def _bury(self, durable: str, delivery: Delivery | Earlier, error: Exception) -> None:
        """Copy the event to the dead letters, then end its delivery; until the copy is stored it is tried again."""
        source, fact = delivery.subject.split(".")[1:3]
        headers = {k: v for k, v in delivery.headers.items() if not k.startswith("Nats-")}
        headers |= {
            "Polis-Subject": delivery.subject,
            "Polis-Consumer": durable,
            "Polis-Error": repr(error).replace("\r", " ").replace("\n", " ")[:500],
        }
        msg_id = f"{durable}:{delivery.headers.get('Nats-Msg-Id', delivery.stream_seq)}"
        subject, attempt = f"dead.{source}.{fact}", 0
        while True:
            try:
                await store(
                    self._kernel.bus, subject, delivery.payload, headers, msg_id=msg_id, timeout_s=5.0
                )
            except BusError:
                delivery.in_progress()
                await asyncio.sleep(_OUTAGE_S[min(attempt, len(_OUTAGE_S) - 1)])
                attempt += 1
            else:
                break
        log.error("event.dead", consumer=durable, subject=delivery.subject, exc_info=error)
        delivery.term("dead letter")


def _event_id(delivery: Delivery | Earlier) -> UUID | None:
    """None when it has none that is one: whoever decodes it says so."""
    try:
        return UUID(delivery.headers.get("Nats-Msg-Id", ""))
    except ValueError:
        return None
