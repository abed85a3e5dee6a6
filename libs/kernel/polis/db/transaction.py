"""A transaction in one or more orgs: rows, events, and an answer that commits with them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Self, TypeVar

from polis.db import emit, idempotency
from polis.db.connections import Lease
from polis.db.errors import is_outage
from polis.db.ids import new_id
from polis.db.rows import to_row, to_rows
from polis.proto import Refused
from polis.telemetry import current

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from types import TracebackType
    from uuid import UUID

    from polis.db.database import Database
    from polis.db.deadline import Deadline
    from polis.db.pages import Listing
    from polis.proto import Event
    from polis.telemetry import Trace

T = TypeVar("T")
_COUNT = re.compile(r"(\d+)$")


class Transaction:
    """One unit of work: `async with database.transaction([org_id]) as tx`.

    It commits when its block ends and is undone when the block raises. It begins with its first statement, so a block
    that comes to none costs nothing and holds no connection. One task at a time may use it.
    """

    __slots__ = (
        "_answered", "_begin", "_callbacks", "_claim", "_database", "_deadline", "_ended", "_events", "_lease", "org_ids",
        "unanswered",
    )  # fmt: skip

    def __init__(
        self, database: Database, org_ids: Sequence[UUID], begin: str, deadline: Deadline | None
    ) -> None:
        self._database = database
        self._begin = begin
        self._deadline = deadline
        self._lease: Lease | None = None
        self._events: list[emit.Emitted] = []
        self._callbacks: list[Callable[[], None]] = []
        self._claim: idempotency.Claim | None = None
        self._answered: object = None
        self._ended = False
        self.org_ids = tuple(org_ids)
        self.unanswered = False
        """Whether a statement was sent to which nothing has come back, also when who waited for it was cancelled."""

    @property
    def org_id(self) -> UUID:
        """The first of its orgs."""
        return self.org_ids[0]

    async def rows(self, kind: type[T], sql: str, *args: object) -> list[T]:
        """Every row as `kind`: a Struct with fields named like the columns, or the type of a single column."""
        return to_rows(kind, await self._fetch(sql, args))

    async def page(self, listing: Listing[T], *place: object) -> list[T]:
        """The page at a place of its org, as this transaction sees it."""
        return await self.rows(listing.kind, listing.sql, self.org_id, *place)

    async def row(self, kind: type[T], sql: str, *args: object) -> T | None:
        """The first row; None without one."""
        return to_row(kind, await self._fetch(sql, args))

    async def value(self, sql: str, *args: object) -> Any:
        """The first column of the first row; None without a row."""
        found = await self._fetch(sql, args)
        return found[0][0] if found else None

    async def execute(self, sql: str, *args: object) -> int:
        """How many rows the statement touched."""
        count = _COUNT.search(await self._send(Lease.execute, sql, args))
        return int(count[1]) if count else 0

    async def emit(self, event: Event, *, trace: Trace | None = None, event_id: UUID | None = None) -> UUID:
        """Commit an event with this transaction; its id. Lock its entity's row first: that is what orders its events.

        The outbox row is written together with the commit, in its round trip. trace: what led to it, if not this task.
        event_id: one that is the same when the same is told again, so that listeners take it once.
        """
        if self.org_ids and event.org_id not in self.org_ids:
            raise ValueError(f"{type(event).__name__} of an org that this transaction is not in")
        given = event_id or new_id()
        self._events.append((given, event, trace or current()))
        return given

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call back once this transaction has committed, and not at all if it does not."""
        self._callbacks.append(callback)

    def answer(self, answer: T) -> T:
        """Record what this request is answered with, so that a repeated idempotency key gets the same."""
        self._answered = answer
        return answer

    @property
    def answered(self) -> object:
        return self._answered

    async def claim(self, operation: str, principal_id: UUID, key: str, fingerprint: bytes) -> bytes | None:
        """The stored answer of this idempotency key, or None when it is ours to work on.

        Refused(InFlight) while another transaction works on it, Refused(KeyReused) when it came with another request.
        """
        self._claim = idempotency.Claim(self.org_id, principal_id, operation, key, fingerprint)
        return await idempotency.claim(await self._begun(), self._database.service, self._claim)

    async def store_answer(self, answer: bytes) -> None:
        """Keep the answer to the claimed key, to commit with the effect."""
        if self._claim is not None:
            await idempotency.store(await self._begun(), self._database.service, self._claim, answer)

    async def first_time(self, consumer: str, event_id: UUID) -> bool:
        """Write an event into the inbox of this transaction; false when it had its effect before."""
        inserted = await self.execute(
            f"insert into {self._database.service}.inbox (consumer, event_id) values ($1, $2) on conflict do nothing",  # noqa: S608 - a checked name
            consumer,
            event_id,
        )
        return inserted == 1

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                await self._commit()
            elif self._lease is not None:
                await _roll_back(self._lease, error)
        finally:
            self._ended = True
            if self._lease is not None:
                self._database.connections.give_back(self._lease)
                self._lease = None
        if kind is None:
            for callback in self._callbacks:
                callback()
            if self._events:
                self._database.emitted(self._events)

    async def _commit(self) -> None:
        if self._lease is None and not self._events:
            return
        lease = await self._begun()
        insert = ""
        if len(self._events) >= emit.MANY:
            await lease.execute(emit.bulk(self._database.service), emit.columns(self._events))
        elif self._events:
            insert = emit.statement(self._database.service, self._events)
        tag = await lease.execute(insert + "commit")
        if tag != "COMMIT":
            raise RuntimeError("a statement of this transaction had failed, so it was undone, not committed")

    async def _fetch(self, sql: str, args: tuple[object, ...]) -> list[Any]:
        return await self._send(Lease.fetch, sql, args)

    async def _send(self, send: Callable[..., Awaitable[T]], sql: str, args: tuple[object, ...]) -> T:
        self.unanswered = True
        try:
            sent = await send(self._lease or await self._begun(), sql, args)
        except Exception:
            self.unanswered = False
            raise
        self.unanswered = False
        return sent

    async def _begun(self) -> Lease:
        """The connection, in the transaction. A connection that turns out to be broken is replaced once."""
        if self._ended:
            raise RuntimeError("the transaction has ended")
        if self._lease is None:
            try:
                self._lease = await self._start()
            except Refused as refusal:
                if not is_outage(refusal):
                    raise
                self._lease = await self._start()
        return self._lease

    async def _start(self) -> Lease:
        connections = self._database.connections
        lease = await connections.take(self._deadline)
        try:
            await lease.execute(self._begin)
        except BaseException as error:
            if isinstance(error, Refused) and is_outage(error):
                connections.distrust(lease)
            connections.give_back(lease)
            raise
        return lease


async def _roll_back(lease: Lease, error: BaseException | None) -> None:
    """Undo. A connection that cannot be asked to, or not in time, is closed, which undoes as well."""
    if not isinstance(error, Exception) or not lease.deadline.remaining():
        lease.connection.terminate()
        return
    try:
        await lease.execute("rollback")
    except Refused:  # the block's own error is the one to tell
        lease.connection.terminate()
