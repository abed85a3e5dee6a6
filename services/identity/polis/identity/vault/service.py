"""Answers about secrets. Only LeaseSecret gives a value, and only to a service."""

from __future__ import annotations

from base64 import b64encode
from datetime import timedelta
from secrets import token_bytes
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from polis.identity.audit.log import record
from polis.identity.own import Own
from polis.identity.principals import active
from polis.identity.tenancy import orgs
from polis.identity.vault import envelope, rows
from polis.identity.vault.cipher import Place, Unreadable
from polis.proto import Page, Refused, identity
from polis.proto.contract import operation_of
from polis.proto.problems import Fault, Forbidden, Invalid, Overloaded
from polis.service import Context, Handlers
from polis.telemetry import log

if TYPE_CHECKING:
    from polis.db import Transaction

handlers = Handlers()
EVERYONES = "identity:members"
"""Who holds this may delete anybody's secret, and change any of the org's."""


@handlers.handles(identity.CreateSecret)
async def create_secret(request: identity.CreateSecret, ctx: Context[Own]) -> identity.Secret:
    _check(request)
    secret = identity.Secret(
        id=ctx.new_id(),
        org_id=ctx.actor.org_id,
        name=request.name,
        protection=request.protection,
        used_by=tuple(sorted(set(request.used_by))),
        version=1,
        created_by=ctx.actor.principal_id,
        created_at=ctx.now(),
        hosts=tuple(sorted(set(request.hosts))),
    )
    owner = None if secret.protection == "org" else ctx.actor.principal_id
    if owner is not None:
        orgs.demand_belonging(ctx.actor)
    closed = await _close(ctx, secret, request.value, request.passphrase)
    async with ctx.transaction() as tx:
        await rows.create(tx, secret, closed, owner)
        await _note(ctx, tx, "secret.created", secret)
        return tx.answer(secret)


@handlers.handles(identity.MakeNotificationSecret)
async def make_notification_secret(
    request: identity.MakeNotificationSecret, ctx: Context[Own]
) -> identity.NotificationSecret:
    orgs.demand_belonging(ctx.actor)
    owner_id, value = ctx.actor.principal_id, f"whsec_{b64encode(token_bytes(32)).decode()}"
    made = identity.Secret(
        id=ctx.new_id(),
        org_id=ctx.actor.org_id,
        name=identity.NOTIFYING,
        protection="personal",
        used_by=("runtime",),
        version=1,
        created_by=owner_id,
        created_at=ctx.now(),
        hosts=(request.host,),
    )
    async with ctx.transaction() as tx:
        before = await rows.own(tx, made.org_id, owner_id, made.name)
        if before is None:
            await rows.create(tx, made, await _close(ctx, made, value, None), owner_id)
        else:
            made = msgspec.structs.replace(made, id=before.id, version=before.version + 1)
            await rows.rotate(tx, await _close(ctx, made, value, None), ctx.now(), by=owner_id)
            await rows.update(tx, made)
        await _note(ctx, tx, "secret.rotated" if before else "secret.created", made)
        return tx.answer(identity.NotificationSecret(made.id, value))


@handlers.handles(identity.ListSecrets)
async def list_secrets(request: identity.ListSecrets, ctx: Context[Own]) -> Page[identity.Secret]:
    after = ctx.position(request.after, UUID)
    found = await rows.page(
        ctx.db, ctx.actor.org_id, ctx.actor.principal_id, after, request.limit + 1, at=ctx.now()
    )
    return ctx.page(found, limit=request.limit, key=lambda secret: secret.id)


@handlers.handles(identity.GetSecret)
async def get_secret(request: identity.GetSecret, ctx: Context[Own]) -> identity.Secret:
    return await rows.get(ctx.db, ctx.actor.org_id, request.secret_id, ctx.actor.principal_id, ctx.now())


@handlers.handles(identity.RotateSecret)
async def rotate_secret(request: identity.RotateSecret, ctx: Context[Own]) -> identity.Secret:
    async with ctx.transaction() as tx:
        await rows.lock(tx, ctx.actor.org_id, request.secret_id)
        old = await rows.get(tx, ctx.actor.org_id, request.secret_id, ctx.actor.principal_id, ctx.now())
        _demand_passphrase(old.protection, request.passphrase)
        secret = msgspec.structs.replace(old, version=old.version + 1, rotated_at=ctx.now(), open_until=None)
        closed = await _close(ctx, secret, request.value, request.passphrase)
        await rows.rotate(tx, closed, ctx.now(), by=ctx.actor.principal_id)
        await _note(ctx, tx, "secret.rotated", secret)
        return tx.answer(secret)


@handlers.handles(identity.UpdateSecret)
async def update_secret(request: identity.UpdateSecret, ctx: Context[Own]) -> identity.Secret:
    _demand_askers(request.used_by or ())
    async with ctx.transaction() as tx:
        await rows.lock(tx, ctx.actor.org_id, request.secret_id)
        old = await rows.get(tx, ctx.actor.org_id, request.secret_id, ctx.actor.principal_id, ctx.now())
        if {old.created_by, await rows.given_by(tx, old)} != {ctx.actor.principal_id}:
            ctx.actor.demand(EVERYONES)
        used_by = old.used_by if request.used_by is None else tuple(sorted(set(request.used_by)))
        hosts = old.hosts if request.hosts is None else tuple(sorted(set(request.hosts)))
        secret = msgspec.structs.replace(old, name=request.name or old.name, used_by=used_by, hosts=hosts)
        if secret != old:
            await rows.update(tx, secret)
            await _note(
                ctx,
                tx,
                "secret.updated",
                secret,
                was=old.name,
                used_by=" ".join(used_by),
                hosts=" ".join(hosts),
            )
        return tx.answer(secret)


@handlers.handles(identity.DeleteSecret)
async def delete_secret(request: identity.DeleteSecret, ctx: Context[Own]) -> None:
    whose = None if EVERYONES in ctx.actor.scopes else ctx.actor.principal_id
    async with ctx.transaction() as tx:
        await rows.lock(tx, ctx.actor.org_id, request.secret_id)
        secret = await rows.get(tx, ctx.actor.org_id, request.secret_id, whose, ctx.now())
        await rows.delete(tx, secret.org_id, secret.id)
        await _note(ctx, tx, "secret.deleted", secret)
        return tx.answer(None)


@handlers.handles(identity.OpenSecret)
async def open_secret(request: identity.OpenSecret, ctx: Context[Own]) -> identity.Secret:
    if ctx.actor.acting:
        raise Refused(Forbidden(scope="session"), "a sealed secret is opened by its owner in person")
    org_id, owner_id, at = ctx.actor.org_id, ctx.actor.principal_id, ctx.now()
    async with ctx.transaction() as tx:
        # Counted before it is tried, so that many at once are not more tries than one after another.
        await rows.lock(tx, org_id, request.secret_id)
        found = await rows.stored(tx, org_id, request.secret_id)
        if found is None or found.protection != "sealed" or found.owner_id != owner_id:
            raise Refused(identity.SecretNotFound(secret_id=request.secret_id))
        if found.locked_until is not None and found.locked_until > at:
            raise Refused(Overloaded(retry_after_s=(found.locked_until - at).total_seconds()))
        await rows.count_try(tx, org_id, found.id, at)
    opening = await _unlock(ctx, found, request)
    async with ctx.transaction() as tx:
        await rows.lock(tx, org_id, found.id)
        secret = await rows.get(tx, org_id, found.id, owner_id, at)
        if opening is not None and secret.version == found.version:
            await rows.open_(tx, opening)
            secret = msgspec.structs.replace(secret, open_until=opening.until)
        await _note(ctx, tx, "secret.refused" if opening is None else "secret.opened", secret)
    if opening is None:  # behind the transaction, which would be undone with what it notes
        raise Refused(identity.WrongPassphrase())
    return secret


@handlers.handles(identity.CloseSecret)
async def close_secret(request: identity.CloseSecret, ctx: Context[Own]) -> identity.Secret:
    async with ctx.transaction() as tx:
        await rows.lock(tx, ctx.actor.org_id, request.secret_id)
        secret = await rows.get(tx, ctx.actor.org_id, request.secret_id, ctx.actor.principal_id, ctx.now())
        await rows.shut(tx, secret.org_id, secret.id)
        if secret.open_until is not None:
            await _note(ctx, tx, "secret.closed", secret)
        return tx.answer(msgspec.structs.replace(secret, open_until=None))


@handlers.handles(identity.LeaseSecret)
async def lease_secret(request: identity.LeaseSecret, ctx: Context[Own]) -> identity.SecretLease:
    service, at = ctx.actor.name, ctx.now()
    if not ctx.actor.of_mesh or service not in operation_of(identity.LeaseSecret).callers:
        raise Refused(Forbidden(scope="internal"))
    async with ctx.own.database.transaction([request.org_id], deadline=ctx.deadline) as tx:
        found = await rows.stored(tx, request.org_id, request.secret_id)
        if found is None or service not in found.used_by or not await _may_use(tx, found, request):
            raise Refused(identity.SecretNotFound(secret_id=request.secret_id))
        lease = _leased(ctx, found)
        await record(
            tx,
            org_id=request.org_id,
            action="secret.leased",
            actor_id=request.principal_id,
            subject=str(found.id),
            detail={"service": service, "name": found.name, "version": str(found.version)},
            at=at,
        )
    return lease


def _leased(ctx: Context[Own], found: rows.Stored) -> identity.SecretLease:
    at = ctx.now()
    opening, until = found.opening(at), at + timedelta(seconds=identity.LEASE_S)
    if found.protection == "sealed":
        if opening is None:
            raise Refused(identity.SecretClosed(secret_id=found.id))
        until = min(until, opening.until)
    try:
        value = envelope.read(ctx.own.ring, found.envelope, opening)
    except Unreadable as error:
        raise _unreadable(found, error) from None
    return identity.SecretLease(found.id, found.version, value, until, found.hosts)


async def _may_use(tx: Transaction, found: rows.Stored, request: identity.LeaseSecret) -> bool:
    """Whether the secret is used for this principal: somebody active in the org, and its owner where it has one."""
    if found.owner_id not in (None, request.principal_id):
        return False
    return await active.bearer_of(tx, request.org_id, request.principal_id) is not None


async def _unlock(
    ctx: Context[Own], found: rows.Stored, request: identity.OpenSecret
) -> envelope.Opening | None:
    until = (ctx.now() + timedelta(seconds=request.for_s)).replace(microsecond=0)
    try:
        return await envelope.unlock(ctx.own.ring, ctx.own.hasher, found.envelope, request.passphrase, until)
    except Unreadable as error:
        raise _unreadable(found, error) from None


async def _close(
    ctx: Context[Own], secret: identity.Secret, value: str, passphrase: str | None
) -> envelope.Envelope:
    place = Place(secret.org_id, secret.id, secret.version)
    return await envelope.close(ctx.own.ring, ctx.own.hasher, place, value, passphrase)


def _check(request: identity.CreateSecret) -> None:
    """Refused(Invalid) for services that never ask for secrets, and a passphrase too much or too few."""
    _demand_askers(request.used_by)
    _demand_passphrase(request.protection, request.passphrase)


def _demand_askers(services: tuple[str, ...]) -> None:
    askers = operation_of(identity.LeaseSecret).callers
    for n, service in enumerate(services):
        if service not in askers:
            fault = Fault(pointer=f"/used_by/{n}", detail=f"Expected one of {', '.join(askers)}")
            raise Refused(Invalid(faults=(fault,)))


def _demand_passphrase(protection: identity.Protection, passphrase: str | None) -> None:
    if (protection == "sealed") != (passphrase is not None):
        detail = "Expected it of a sealed secret" if passphrase is None else "Only a sealed secret has one"
        raise Refused(Invalid(faults=(Fault(pointer="/passphrase", detail=detail),)))


def _unreadable(found: rows.Stored, error: Unreadable) -> Refused:
    log.error("secret.unreadable", secret_id=str(found.id), version=found.version, reason=str(error))
    return Refused(identity.SecretUnreadable(secret_id=found.id))


async def _note(
    ctx: Context[Own], tx: Transaction, action: str, secret: identity.Secret, **more: str
) -> None:
    await record(
        tx,
        org_id=secret.org_id,
        action=action,
        actor_id=ctx.actor.principal_id,
        subject=str(secret.id),
        detail={"name": secret.name, "version": str(secret.version), **more},
        at=ctx.now(),
    )
