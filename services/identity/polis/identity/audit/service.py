"""Answers about the audit log."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from polis.identity.audit import log
from polis.identity.audit.verify import verify
from polis.identity.own import Own
from polis.proto import Page, Refused, identity
from polis.proto.problems import Fault, Invalid
from polis.service import Context, Handlers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

handlers = Handlers()
_EXPORTED = 500
"""Records read at a time."""


@handlers.handles(identity.ListAudit)
async def list_audit(request: identity.ListAudit, ctx: Context[Own]) -> Page[identity.AuditRecord]:
    before = ctx.position(request.after, int)
    found = await log.page(
        ctx.db,
        ctx.actor.org_id,
        before,
        request.limit + 1,
        action=request.action,
        actor_id=request.actor_id,
    )
    if before is None:
        await _note_read(ctx, "audit.read")
    return ctx.page([record_of(stored) for stored in found], limit=request.limit, key=lambda told: told.n)


@handlers.handles(identity.RecordDenials)
async def record_denials(request: identity.RecordDenials, ctx: Context[Own]) -> None:
    for denial in request.denials:
        # One after another: a chain is held no longer than its own record needs.
        async with ctx.own.database.transaction([denial.org_id], deadline=ctx.deadline) as tx:
            await log.record(
                tx,
                org_id=denial.org_id,
                action="access.denied",
                actor_id=denial.principal_id,
                subject=denial.operation,
                detail={"by": ctx.actor.name, "lacking": denial.scope, "times": str(denial.count)},
                at=ctx.now(),
            )


@handlers.handles(identity.VerifyAudit)
async def verify_audit(request: identity.VerifyAudit, ctx: Context[Own]) -> identity.AuditState:
    n, noted = request.noted_n, None
    if (n is None) != (request.noted_hash is None):
        raise Refused(Invalid(faults=(Fault(pointer="/noted_n", detail="Expected it with `noted_hash`"),)))
    if n is not None and request.noted_hash is not None:
        noted = identity.AuditLink(n, request.noted_hash)
    # As it was at one moment: what retention removes meanwhile would be missing.
    async with ctx.own.database.snapshot(ctx.actor.org_id, deadline=ctx.deadline) as tx:
        found = await verify(tx, ctx.actor.org_id, request.after, noted)
    await _note_read(ctx, "audit.verified")
    return found


@handlers.handles(identity.ExportAudit)
async def export_audit(
    request: identity.ExportAudit, ctx: Context[Own]
) -> AsyncIterator[identity.AuditRecord]:
    org_id, after = ctx.actor.org_id, request.after
    await _note_read(ctx, "audit.exported")
    while True:
        # Not `ctx.db`: a download outlives the deadline of the request that began it.
        found = await log.behind(ctx.own.database.tenant(org_id), org_id, after, _EXPORTED)
        for stored in found:
            yield record_of(stored)
        if len(found) < _EXPORTED:
            return
        after = found[-1].n


def record_of(stored: log.Stored) -> identity.AuditRecord:
    return identity.AuditRecord(
        stored.n,
        stored.at,
        stored.action,
        stored.actor_id,
        stored.subject,
        msgspec.json.decode(stored.detail, type=dict[str, str]),
        stored.hash.hex(),
    )


async def _note_read(ctx: Context[Own], action: str) -> None:
    """An export is noted whoever makes it; a look at the log when an administrator of the mesh takes it."""
    actor = ctx.actor
    if action == "audit.exported" or actor.role == "administrator":
        async with ctx.own.database.transaction([actor.org_id], deadline=ctx.deadline) as tx:
            await log.record(
                tx, org_id=actor.org_id, action=action, actor_id=actor.principal_id, at=ctx.now()
            )
