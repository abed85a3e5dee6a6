"""What is active anywhere, for the runtime: one activation with its content, and all graphs that name triggers."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.catalog.access import SYSTEM_ORG
from polis.catalog.own import Own
from polis.proto import Page, Refused, catalog
from polis.service import Context, Handlers

handlers = Handlers()


class Position(Struct, frozen=True):
    """Behind which activation a list goes on."""

    org_id: UUID
    resource_id: UUID
    environment: str


class _Row(Struct, frozen=True):
    org_id: UUID
    resource_id: UUID
    type: catalog.ResourceType
    key: str
    environment: str
    number: int
    status: catalog.Status
    activated_by: UUID
    activated_at: datetime
    content: str
    scopes: list[str]


@handlers.handles(catalog.GetEffective)
async def get_effective(request: catalog.GetEffective, ctx: Context[Own]) -> catalog.Effective:
    async with ctx.across_orgs() as tx:
        row = await tx.row(
            _Row,
            """
            select r.org_id, r.id as resource_id, r.type, r.key, a.environment, a.number, r.status, a.activated_by,
                a.activated_at, case when r.type = 'graph' then v.content else '{}' end as content,
                a.scopes
            from catalog.resources r
            join catalog.activations a on a.org_id = r.org_id and a.resource_id = r.id and a.environment = $3
            join catalog.versions v on v.org_id = r.org_id and v.resource_id = r.id and v.number = a.number
            where r.org_id = $1 and r.id = $2
            """,
            request.org_id,
            request.resource_id,
            request.environment,
        )
    if row is None:
        raise Refused(catalog.NotActive(environment=request.environment))
    fields = msgspec.structs.asdict(row)
    fields["content"] = msgspec.json.decode(row.content, type=dict[str, object])
    fields["scopes"] = tuple(row.scopes)
    return catalog.Effective(**fields)


@handlers.handles(catalog.ListEffective)
async def list_effective(request: catalog.ListEffective, ctx: Context[Own]) -> Page[catalog.EffectiveGraph]:
    after = ctx.position(request.after, Position) or Position(UUID(int=0), UUID(int=0), "")
    async with ctx.across_orgs() as tx:
        # Contents are read whole for it. It is asked once an hour.
        found = await tx.rows(
            catalog.EffectiveGraph,
            """
            select a.org_id, a.resource_id, a.environment, a.number
            from catalog.activations a
            join catalog.resources r on r.org_id = a.org_id and r.id = a.resource_id
            join catalog.versions v on v.org_id = a.org_id and v.resource_id = a.resource_id and v.number = a.number
            where (a.org_id, a.resource_id, a.environment) > ($1, $2, $3) and a.org_id <> $5
                and r.type = 'graph' and r.status <> 'deprecated' and position('"triggers":{"' in v.content) > 0
            order by a.org_id, a.resource_id, a.environment limit $4
            """,
            after.org_id,
            after.resource_id,
            after.environment,
            request.limit + 1,
            SYSTEM_ORG,
        )
    return ctx.page(
        found, limit=request.limit, key=lambda a: Position(a.org_id, a.resource_id, a.environment)
    )
