"""What a handler sees: the actor, the org's rows, a transaction, calls to other services, time and ids."""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Generic, TypeVar

import msgspec
from msgspec import Struct

from polis.db import Tenant, Transaction, new_id
from polis.proto import Operation, Page, Request, Stream
from polis.service.call import CLIENT_ADDRESS, CLIENT_DEVICE

if TYPE_CHECKING:
    from uuid import UUID

    from polis.db import Deadline
    from polis.service.actor import Actor
    from polis.service.kernel import Kernel
    from polis.telemetry import Trace

R = TypeVar("R")
A = TypeVar("A")
T = TypeVar("T")


class Replayed(Exception):
    """The idempotency key was answered before: this is the stored answer."""

    def __init__(self, answer: bytes) -> None:
        super().__init__()
        self.answer = answer


class Client(Struct, frozen=True):
    """Whom the gateway answers: the address it came from and what it calls itself; empty where nobody told."""

    address: str = ""
    device: str = ""


class Context(Generic[R]):
    """One request being answered. `own` is what the service opened at its start."""

    __slots__ = ("_headers", "_kernel", "_key", "_operation", "_request", "actor", "deadline", "own", "trace")

    def __init__(
        self,
        kernel: Kernel,
        own: R,
        operation: Operation,
        request: object,
        *,
        actor: Actor,
        deadline: Deadline,
        trace: Trace,
        key: str,
        headers: Mapping[str, str],
    ) -> None:
        self._headers = headers
        self._kernel = kernel
        self._operation = operation
        self._request = request
        self._key = key
        self.own = own
        self.actor = actor
        self.deadline = deadline
        self.trace = trace

    @property
    def client(self) -> Client:
        """The client of a request that came by the gateway.

        Only the gateway, and for what steps may call the runtime, which tells of no client, may publish the requests that
        have a route and no callers: these headers are the gateway's own.
        """
        return Client(self._headers.get(CLIENT_ADDRESS, ""), self._headers.get(CLIENT_DEVICE, ""))

    @property
    def keyed(self) -> bool:
        """Whether the call has an idempotency key, so that its effect and answer must commit in `transaction`."""
        return bool(self._key)

    @property
    def db(self) -> Tenant:
        """Reads in the actor's org, one round trip each."""
        return self._kernel.database.tenant(self.actor.org_id, deadline=self.deadline)

    @asynccontextmanager
    async def transaction(self, *more_orgs: UUID) -> AsyncIterator[Transaction]:
        """A transaction in the actor's org; `return tx.answer(...)` inside it, so that a repeated key gets that answer.

        Refused(InFlight) while the same key is at work elsewhere, Refused(KeyReused) when it came with another request.
        """
        orgs = (self.actor.org_id, *more_orgs)
        async with self._kernel.database.transaction(orgs, deadline=self.deadline) as tx:
            if not self._key:
                yield tx
                return
            stored = await tx.claim(self._operation.name, self.actor.principal_id, *self._claim())
            if stored is not None:
                raise Replayed(stored)
            yield tx
            await tx.store_answer(msgspec.json.encode(tx.answered))

    def _claim(self) -> tuple[str, bytes]:
        """The key under which an answer is kept, and what tells two requests under it apart.

        Both are keyed with the service's credential: who reads the database can neither guess a simple key, and open the
        answer with it, nor the password in a request. Strangers have no principal, so their keys hold for one request.
        """
        secret = str(self._kernel.settings.credential).encode()
        request = msgspec.json.encode(self._request)
        stranger = request if self.actor.kind == "anonymous" else b""
        key = hmac.digest(secret, self._key.encode() + b"\0" + stranger, "sha256")
        return key.hex(), hmac.digest(key, request, "sha256")

    def across_orgs(self) -> AbstractAsyncContextManager[Transaction]:
        """A transaction that sees every org: for look-ups that precede knowing the org."""
        return self._kernel.database.across_orgs(deadline=self.deadline)

    async def call(self, request: Request[A], *, as_service: bool = False) -> A:
        """Call another service as the actor, or as this service itself, within this request's deadline."""
        return await self._kernel.caller.call(
            request,
            token=await self._kernel.keys.own_token() if as_service else self.actor.token,
            org="" if as_service else str(self.actor.org_id),
            timeout_s=self.deadline.remaining(),
        )

    async def stream(self, request: Request[Stream[T]]) -> AsyncIterator[T]:
        async for part in self._kernel.caller.stream(
            request, token=self.actor.token, org=str(self.actor.org_id), timeout_s=self.deadline.remaining()
        ):
            yield part

    def page(self, items: Sequence[T], *, limit: int, key: Callable[[T], object]) -> Page[T]:
        """A page from `limit + 1` fetched items; `key(item)` is the position that the next page starts behind."""
        if len(items) <= limit:
            return Page(items=tuple(items))
        kept = tuple(items[:limit])
        return Page(items=kept, next_cursor=self.cursor(key(kept[-1])))

    def cursor(self, position: object) -> str:
        return self._kernel.cursors.encode(self._list_name(), position)

    def position(self, cursor: str | None, kind: type[T]) -> T | None:
        """Where a page starts; None for the first. Refused(StaleCursor) when the cursor is not this list's."""
        return None if cursor is None else self._kernel.cursors.decode(self._list_name(), cursor, kind)

    def now(self) -> datetime:
        return datetime.now(UTC)

    def new_id(self) -> UUID:
        """A UUIDv7: sorts by time of creation."""
        return new_id()

    def _list_name(self) -> str:
        return f"{self._operation.subject}/{self.actor.org_id}"


class EventContext(Generic[R]):
    """One event being handled, inside the transaction that records it as handled."""

    __slots__ = ("_kernel", "own", "tx")

    def __init__(self, kernel: Kernel, own: R, tx: Transaction) -> None:
        self._kernel = kernel
        self.own = own
        self.tx = tx

    async def call(self, request: Request[A]) -> A:
        """Call another service as this service itself."""
        return await self._kernel.caller.call(request, token=await self._kernel.keys.own_token())

    def now(self) -> datetime:
        return datetime.now(UTC)

    def new_id(self) -> UUID:
        return new_id()
