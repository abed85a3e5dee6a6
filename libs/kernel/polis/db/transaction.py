"""A transaction in one or more orgs: rows, events, and an answer that commits with them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from polis.db import idempotency
from polis.db.ids import new_id
from polis.db.tenant import to
from polis.proto.contract import Event, ce_source, ce_type, event_type_of
from polis.telemetry import current

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from polis.db.connections import Lease

T = TypeVar("T")
_COUNT = re.compile(r"(\d+)$")


class Transaction:
    """Statements of one unit of work. It commits when its block ends, and not at all when that raises."""

    def __init__(self, lease: Lease, service: str, org_ids: Sequence[UUID]) -> None:
        self._lease = lease
        self._service = service
        self._events: list[tuple[UUID, Event]] = []
        self._claim: idempotency.Claim | None = None
        self.org_ids = tuple(org_ids)
        self.committed: list[Callable[[], None]] = []
        self.answered: object = None

    @property
    def org_id(self) -> UUID:
        """The first of its orgs."""
        return self.org_ids[0]

    async def rows(self, kind: type[T], sql: str, *args: object) -> list[T]:
        return [to(kind, row) for row in await self._lease.fetch(sql, *args)]

    async def row(self, kind: type[T], sql: str, *args: object) -> T | None:
        found = await self._lease.fetch(sql, *args)
        return to(kind, found[0]) if found else None

    async def value(self, sql: str, *args: object) -> Any:
        """The first column of the first row; None without a row."""
        found = await self._lease.fetch(sql, *args)
        return found[0][0] if found else None

    async def execute(self, sql: str, *args: object) -> int:
        """How many rows the statement touched."""
        count = _COUNT.search(await self._lease.execute(sql, *args))
        return int(count[1]) if count else 0

    async def emit(self, event: Event) -> UUID:
        """Commit an event with this transaction; its id. Take the lock on its entity first: that is what orders it."""
        event_id = new_id()
        self._events.append((event_id, event))
        return event_id

    def after_commit(self, callback: Callable[[], None]) -> None:
        self.committed.append(callback)

    def answer(self, answer: T) -> T:
        """Record what this request is answered with, so that a repeated idempotency key gets the same."""
        self.answered = answer
        return answer

    async def claim(self, operation: str, principal_id: UUID, key: str, fingerprint: bytes) -> bytes | None:
        """The stored answer of this idempotency key, or None when it is ours to work on.

        Refused(InFlight) while another transaction works on it, Refused(KeyReused) when it came with another request.
        """
        self._claim = idempotency.Claim(self.org_id, principal_id, operation, key, fingerprint)
        return await idempotency.claim(self._lease, self._service, self._claim)

    async def store_answer(self, answer: bytes) -> None:
        if self._claim is not None:
            await idempotency.store(self._lease, self._service, self._claim, answer)

    async def first_time(self, consumer: str, event_id: UUID) -> bool:
        """Write an event into the inbox of this transaction; false when it had its effect before."""
        return (
            await self.execute(
                f"insert into {self._service}.inbox (consumer, event_id) values ($1, $2) on conflict do nothing",  # noqa: S608
                consumer,
                event_id,
            )
            == 1
        )

    async def flush_events(self) -> bool:
        """Write what was emitted into the outbox; whether there was anything."""
        if not self._events:
            return False
        now, trace = datetime.now(UTC), current()
        columns: tuple[list[Any], ...] = ([], [], [], [], [])
        for event_id, event in self._events:
            kind = event_type_of(type(event))
            headers = {
                "ce-specversion": "1.0",
                "ce-id": str(event_id),
                "ce-source": ce_source(kind.service),
                "ce-type": ce_type(kind.service, kind.fact),
                "ce-subject": str(getattr(event, kind.entity)),
                "ce-time": now.isoformat(),
                "Content-Type": "application/json",
            }
            if trace is not None:
                headers["traceparent"] = trace.header
            row = (event_id, event.org_id, kind.subject(event), msgspec.json.encode(event), headers)
            for column, value in zip(columns, row, strict=True):
                column.append(value)
        await self._lease.execute(
            f"insert into {self._service}.outbox (id, org_id, subject, payload, headers) "  # noqa: S608 - a checked name
            "select id, org_id, subject, payload, headers from unnest($1::uuid[], $2::uuid[], $3::text[], $4::bytea[], "
            "$5::jsonb[]) with ordinality as e(id, org_id, subject, payload, headers, n) order by n",
            *columns,
        )
        self._events.clear()
        return True
