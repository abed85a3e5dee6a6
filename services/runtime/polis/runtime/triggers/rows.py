"""Rows of triggers as they are read: what answers show, and what is needed to fire."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.proto import Refused, runtime
from polis.proto.runtime import Trigger, WhyNot
from polis.proto.trigger import TriggerKind, TriggerSpec

if TYPE_CHECKING:
    from polis.db import Tenant, Transaction

HOOKS = "/api/v1/hooks"
_specs = msgspec.json.Decoder(TriggerSpec)
_why = msgspec.json.Decoder(WhyNot)


class Armed(Struct, frozen=True):
    """An effective trigger, as far as firing it goes."""

    org_id: UUID
    id: UUID
    name: str
    graph: str
    environment: str
    activated_by: UUID
    scopes: list[str]
    acts_as: UUID | None
    spec: bytes

    @property
    def on(self) -> TriggerSpec:
        return _specs.decode(self.spec)


class Hook(Armed, frozen=True):
    """A webhook, and the hashes of the tokens that it takes now."""

    tokens: list[bytes]


class _Row(Struct, frozen=True):
    id: UUID
    org_id: UUID
    resource_id: UUID
    graph: str
    environment: str
    number: int
    name: str
    spec: bytes
    activated_by: UUID
    created_at: datetime
    acts_as: UUID | None
    ended_at: datetime | None
    paused_at: datetime | None
    paused_by: UUID | None
    next_at: datetime | None
    fired_at: datetime | None
    last_run_id: UUID | None
    last_occurrence: str | None
    error: bytes | None
    fired: int
    refused: int
    skipped: int
    has_token: bool
    kind: TriggerKind

    @property
    def trigger(self) -> Trigger:
        fields = msgspec.structs.asdict(self)
        fields["spec"] = msgspec.json.decode(self.spec, type=dict[str, object])
        fields["error"] = None if self.error is None else _why.decode(self.error)
        return Trigger(**fields, hook=f"{HOOKS}/{self.id}" if self.kind == "webhook" else None)


_COLUMNS = """
    t.id, t.org_id, t.resource_id, t.graph, t.environment, t.number, t.name, t.spec, t.activated_by, t.created_at,
    t.acts_as, t.ended_at, t.paused_at, t.paused_by, case when t.due_at is not null then coalesce(t.slot_at, t.due_at) end as next_at, t.fired_at, t.last_run_id,
    t.last_occurrence, t.error, t.fired, t.refused, t.skipped, t.token_hash is not null as has_token, t.kind
"""
_GET = f"select {_COLUMNS} from runtime.triggers t where t.org_id = $1 and t.id = $2"  # noqa: S608 - constants
_PAGE = f"""
    select {_COLUMNS} from runtime.triggers t
    where t.org_id = $1 and t.ended_at is null and t.id > coalesce($2::uuid, '00000000-0000-0000-0000-000000000000') and ($4::text is null or t.graph = $4)
        and ($5::text is null or t.kind = $5) and ($6::text is null or t.environment = $6)
    order by t.id limit $3
"""  # noqa: S608 - constants


async def get(db: Tenant | Transaction, trigger_id: UUID) -> Trigger:
    """Refused(TriggerNotFound)."""
    row = await db.row(_Row, _GET, db.org_id, trigger_id)
    if row is None:
        raise Refused(runtime.TriggerNotFound(trigger_id=trigger_id))
    return row.trigger


async def page(
    db: Tenant,
    after: UUID | None,
    limit: int,
    *,
    graph: str | None,
    kind: str | None,
    environment: str | None,
) -> list[Trigger]:
    """Effective triggers behind one, oldest first. An org has few: they are looked through."""
    return [
        row.trigger for row in await db.rows(_Row, _PAGE, db.org_id, after, limit, graph, kind, environment)
    ]


async def armed(db: Tenant | Transaction, trigger_id: UUID) -> Armed:
    """Refused(TriggerNotFound) also for one that is not effective any more."""
    row = await db.row(
        Armed,
        """
        select t.org_id, t.id, t.name, t.graph, t.environment, t.activated_by, t.scopes, t.acts_as, t.spec
        from runtime.triggers t where t.org_id = $1 and t.id = $2 and t.ended_at is null
        """,
        db.org_id,
        trigger_id,
    )
    if row is None:
        raise Refused(runtime.TriggerNotFound(trigger_id=trigger_id))
    return row


async def listening(db: Tenant, event: str) -> Sequence[Armed]:
    """The org's effective triggers that may fire for an event."""
    return await db.rows(
        Armed,
        """
        select t.org_id, t.id, t.name, t.graph, t.environment, t.activated_by, t.scopes, t.acts_as, t.spec
        from runtime.triggers t
        where t.org_id = $1 and t.listens is not null and $2 = any(t.listens) and t.ended_at is null
            and t.paused_at is null
        order by t.id
        """,
        db.org_id,
        event,
    )


async def hook(tx: Transaction, trigger_id: UUID) -> Hook | None:
    """A webhook that takes posts now, of any org: the address names none."""
    return await tx.row(
        Hook,
        """
        select t.org_id, t.id, t.name, t.graph, t.environment, t.activated_by, t.scopes, t.acts_as, t.spec,
            array_remove(array[t.token_hash, case when t.old_token_until > clock_timestamp() then t.old_token_hash end],
                null) as tokens
        from runtime.triggers t
        where t.id = $1 and t.kind = 'webhook' and t.ended_at is null and t.paused_at is null
        """,
        trigger_id,
    )
