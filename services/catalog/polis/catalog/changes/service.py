"""Answers about change sets: proposed, reviewed, planned, applied, undone; and the export of an org."""

from __future__ import annotations

from collections.abc import AsyncIterator
from hashlib import sha256
from typing import TYPE_CHECKING, NoReturn

import msgspec

from polis.catalog.access import MANAGING
from polis.catalog.changes import engine, export, moments, sets, undo
from polis.catalog.own import Own
from polis.db import Deadline
from polis.proto import Page, Refused, catalog
from polis.proto.problems import Forbidden, Invalid, StaleCursor
from polis.service import Context, Handlers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from polis.db import Transaction
    from polis.proto.catalog import Change

handlers = Handlers()


class _Planned(Exception):
    """Ends the transaction that a plan was made in, so that nothing of it stays."""

    def __init__(self, plan: catalog.Plan) -> None:
        super().__init__()
        self.plan = plan


@handlers.handles(catalog.CreateChangeSet)
async def create_change_set(request: catalog.CreateChangeSet, ctx: Context[Own]) -> catalog.ChangeSet:
    _demand_sound(request.changes)
    async with ctx.transaction() as tx:
        found = await _create(ctx, tx, request.title, review=request.review)
        return tx.answer(await sets.add(tx, found, request.changes))


async def _create(ctx: Context[Own], tx: Transaction, title: str, *, review: bool) -> catalog.ChangeSet:
    return await sets.create(
        tx, ctx.actor.org_id, ctx.new_id(), title, review=review, by=ctx.actor.principal_id, at=ctx.now()
    )


def _demand_sound(changes: Sequence[Change]) -> None:
    faults = engine.faults(changes)
    if faults:
        raise Refused(Invalid(faults=tuple(faults)))


@handlers.handles(catalog.AddChanges)
async def add_changes(request: catalog.AddChanges, ctx: Context[Own]) -> catalog.ChangeSet:
    _demand_sound(request.changes)
    async with ctx.transaction() as tx:
        found = await sets.lock(tx, await ctx.own.grants.viewer(ctx.actor), request.set_id)
        if found.status != "open" or found.created_by != ctx.actor.principal_id:
            raise Refused(catalog.ChangeSetState(reason="it is not open, or somebody else's"))
        return tx.answer(await sets.add(tx, found, request.changes))


@handlers.handles(catalog.ListChangeSets)
async def list_change_sets(request: catalog.ListChangeSets, ctx: Context[Own]) -> Page[catalog.ChangeSet]:
    after = ctx.position(request.after, sets.Position) or sets.Position(request.status)
    if after.status != request.status:
        raise Refused(StaleCursor())
    found = await sets.page(ctx.db, await ctx.own.grants.viewer(ctx.actor), after, request.limit + 1)
    return ctx.page(
        found, limit=request.limit, key=lambda s: sets.Position(request.status, s.created_at, s.id)
    )


@handlers.handles(catalog.GetChangeSet)
async def get_change_set(request: catalog.GetChangeSet, ctx: Context[Own]) -> catalog.ChangeSet:
    return await sets.get(ctx.db, await ctx.own.grants.viewer(ctx.actor), request.set_id)


@handlers.handles(catalog.ListChanges)
async def list_changes(request: catalog.ListChanges, ctx: Context[Own]) -> Page[Change]:
    found = await sets.get(ctx.db, await ctx.own.grants.viewer(ctx.actor), request.set_id)
    after = ctx.position(request.after, sets.ChangePosition) or sets.ChangePosition(found.id)
    if after.set_id != found.id:
        raise Refused(StaleCursor())
    rows = await sets.change_page(ctx.db, found, after.n, request.limit)
    changes = tuple(msgspec.json.decode(row.change, type=catalog.Change) for row in rows)
    more = bool(rows) and rows[-1].n < found.size
    return Page(changes, ctx.cursor(sets.ChangePosition(found.id, rows[-1].n)) if more else None)


@handlers.handles(catalog.PlanChangeSet)
async def plan_change_set(request: catalog.PlanChangeSet, ctx: Context[Own]) -> catalog.Plan:
    """By making the changes and taking them back: a plan cannot say anything else than what will happen."""
    try:
        async with ctx.own.turns.of(ctx.actor.org_id), ctx.transaction() as tx:
            found = await sets.get(tx, await ctx.own.grants.viewer(ctx.actor), request.set_id)
            if found.status not in ("open", "approved"):
                raise Refused(catalog.ChangeSetState(reason=f"it is {found.status}"))
            _take_back(_plan(await _make(ctx, tx, found)))
    except _Planned as planned:
        return planned.plan


def _take_back(plan: catalog.Plan) -> NoReturn:
    raise _Planned(plan)


async def _make(ctx: Context[Own], tx: Transaction, found: catalog.ChangeSet) -> engine.Made:
    changes = await sets.changes(tx, found)
    return await engine.make(
        tx,
        await ctx.own.grants.viewer(ctx.actor),
        changes,
        ctx.own.scripts,
        by=ctx.actor.principal_id,
        at=ctx.now(),
    )


def _plan(made: engine.Made) -> catalog.Plan:
    """Its digest is of the steps and of what they begin with, so that it holds for this state alone."""
    told = msgspec.json.encode((made.steps, [(name, made.before[name]) for name in sorted(made.before)]))
    return catalog.Plan(sha256(told).hexdigest(), tuple(made.steps))


@handlers.handles(catalog.ReviewChangeSet)
async def review_change_set(request: catalog.ReviewChangeSet, ctx: Context[Own]) -> catalog.ChangeSet:
    async with ctx.transaction() as tx:
        found = await sets.lock(tx, await ctx.own.grants.viewer(ctx.actor), request.set_id)
        if request.size not in (None, found.size):
            raise Refused(catalog.ChangeSetState(reason="changes were added since it was looked at"))
        reviewed = await sets.review(
            tx, found, approve=request.approve, note=request.note, by=ctx.actor.principal_id, at=ctx.now()
        )
        return tx.answer(reviewed)


@handlers.handles(catalog.ApplyChangeSet)
async def apply_change_set(request: catalog.ApplyChangeSet, ctx: Context[Own]) -> catalog.ChangeSet:
    async with ctx.own.turns.of(ctx.actor.org_id), ctx.transaction() as tx:
        found = await sets.lock(tx, await ctx.own.grants.viewer(ctx.actor), request.set_id)
        sets.demand_applicable(found)
        made = await _make(ctx, tx, found)
        plan = _plan(made)
        if request.plan not in (None, plan.digest):
            raise Refused(catalog.PlanOutdated(digest=plan.digest))
        applied = await sets.applied(tx, found, made, by=ctx.actor.principal_id, at=ctx.now())
        await tx.emit(catalog.ChangeSetApplied(found.org_id, found.id, found.size))
        return tx.answer(applied)


@handlers.handles(catalog.UndoChangeSet)
async def undo_change_set(request: catalog.UndoChangeSet, ctx: Context[Own]) -> catalog.ChangeSet:
    viewer = await ctx.own.grants.viewer(ctx.actor)
    async with ctx.own.turns.of(ctx.actor.org_id), ctx.transaction() as tx:
        found = await sets.lock(tx, viewer, request.set_id)
        if found.status != "applied":
            raise Refused(catalog.ChangeSetState(reason="it is not applied"))
        made = await undo.undo(tx, viewer, found, ctx.own.scripts, by=ctx.actor.principal_id, at=ctx.now())
        undone = await sets.undone(tx, found, made, by=ctx.actor.principal_id, at=ctx.now())
        await tx.emit(catalog.ChangeSetUndone(found.org_id, found.id))
        return tx.answer(undone)


@handlers.handles(catalog.WithdrawChangeSet)
async def withdraw_change_set(request: catalog.WithdrawChangeSet, ctx: Context[Own]) -> None:
    viewer = await ctx.own.grants.viewer(ctx.actor)
    async with ctx.transaction() as tx:
        await sets.withdraw(tx, viewer, await sets.lock(tx, viewer, request.set_id))
        return tx.answer(None)


@handlers.handles(catalog.RestoreMoment)
async def restore_moment(request: catalog.RestoreMoment, ctx: Context[Own]) -> catalog.ChangeSet:
    viewer = await ctx.own.grants.viewer(ctx.actor)
    if not viewer.manages:
        raise Refused(Forbidden(scope=MANAGING))
    async with ctx.own.turns.of(ctx.actor.org_id), ctx.transaction() as tx:
        back = await moments.back_to(tx, viewer, request.at, without_removed=request.without_removed)
        title = request.title or f"As of {request.at.isoformat()}"
        found = await _create(ctx, tx, title, review=False)
        return tx.answer(await sets.add(tx, found, back))


@handlers.handles(catalog.ExportResources)
async def export_resources(_: catalog.ExportResources, ctx: Context[Own]) -> AsyncIterator[Change]:
    viewer = await ctx.own.grants.viewer(ctx.actor)
    with ctx.own.exports.one(viewer.org_id):
        # Not the request's deadline: an export takes as long as there is to read, up to its own.
        async with ctx.own.database.snapshot(viewer.org_id, deadline=Deadline.after(export.TIMEOUT_S)) as tx:
            async for change in export.changes(tx, viewer):
                yield change
