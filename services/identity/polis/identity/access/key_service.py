"""Answers about API keys, and what a key is traded for."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from polis.identity.access import keys, moments, units
from polis.identity.access.telling import tell
from polis.identity.own import Own
from polis.identity.people import sessions
from polis.identity.principals import active
from polis.identity.tenancy import orgs
from polis.proto import Page, Refused, identity
from polis.proto.problems import Forbidden
from polis.service import Context, Handlers
from polis.service.access import effective
from polis.service.actor import BY_KEY

if TYPE_CHECKING:
    from datetime import datetime

    from polis.identity.tokens.issue import Bearer

handlers = Handlers()
EVERYONES = "identity:members"
"""Who holds this sees and revokes the keys of the whole org."""


@handlers.handles(identity.CreateKey)
async def create_key(request: identity.CreateKey, ctx: Context[Own]) -> identity.NewKey:
    _in_person(ctx)
    orgs.demand_belonging(ctx.actor)
    for scope in request.scopes:
        ctx.actor.demand(scope)
    at, key_id = ctx.now(), ctx.new_id()
    moments.demand_to_come(request.expires_at, at, pointer="/expires_at")
    secret = keys.mint(key_id)
    key = identity.ApiKey(
        id=key_id,
        org_id=ctx.actor.org_id,
        name=request.name,
        hint=keys.hint(secret.secret),
        principal_id=ctx.actor.principal_id,
        scopes=tuple(sorted(set(request.scopes))),
        created_at=at,
        unit_id=request.unit_id,
        expires_at=request.expires_at,
    )
    async with ctx.transaction() as tx:
        if request.unit_id is not None:
            await units.share(tx, key.org_id, request.unit_id)
        await keys.create(tx, key, secret, sid=ctx.new_id(), at=at)
        await tell(ctx, tx, "key.created", key.id, name=key.name, scopes=" ".join(key.scopes))
        return tx.answer(identity.NewKey(key, secret.secret))


@handlers.handles(identity.ListKeys)
async def list_keys(request: identity.ListKeys, ctx: Context[Own]) -> Page[identity.ApiKey]:
    if request.everyones:
        ctx.actor.demand(EVERYONES)
    whose = None if request.everyones else ctx.actor.principal_id
    after = ctx.position(request.after, UUID)
    found = await keys.page(ctx.db, ctx.actor.org_id, whose, after, request.limit + 1)
    return ctx.page(found, limit=request.limit, key=lambda key: key.id)


@handlers.handles(identity.GetKey)
async def get_key(request: identity.GetKey, ctx: Context[Own]) -> identity.ApiKey:
    return await keys.get(ctx.db, ctx.actor.org_id, request.key_id, _whose(ctx))


@handlers.handles(identity.RotateKey)
async def rotate_key(request: identity.RotateKey, ctx: Context[Own]) -> identity.NewKey:
    if ctx.actor.acting != f"{BY_KEY}{request.key_id}":
        _in_person(ctx)
    at, secret = ctx.now(), keys.mint(request.key_id)
    async with ctx.transaction() as tx:
        key = await keys.get(tx, ctx.actor.org_id, request.key_id, ctx.actor.principal_id)
        await keys.rotate(tx, key, secret, at + timedelta(seconds=request.overlap_s), at)
        if not request.overlap_s:
            sid = await keys.renew_sid(tx, key)
            await sessions.revoke(tx, key.org_id, sid, ctx.own.config, at)
        key = await keys.get(tx, ctx.actor.org_id, request.key_id, ctx.actor.principal_id)
        await tell(ctx, tx, "key.rotated", key.id, name=key.name)
        return tx.answer(identity.NewKey(key, secret.secret))


@handlers.handles(identity.RevokeKey)
async def revoke_key(request: identity.RevokeKey, ctx: Context[Own]) -> None:
    async with ctx.transaction() as tx:
        key = await keys.get(tx, ctx.actor.org_id, request.key_id, _whose(ctx))
        sid = await keys.revoke(tx, key)
        if sid is not None:
            await sessions.revoke(tx, key.org_id, sid, ctx.own.config, ctx.now())
            await tell(ctx, tx, "key.revoked", key.id, name=key.name, owner=key.principal_id)
        return tx.answer(None)


@handlers.handles(identity.SignInKey)
async def sign_in_key(request: identity.SignInKey, ctx: Context[Own]) -> identity.AccessToken:
    key_id, at = keys.id_of(request.key), ctx.now()
    if key_id is None:
        raise Refused(identity.WrongCredentials())
    async with ctx.across_orgs() as tx:
        found = await keys.find(tx, key_id)
        if found is None or not keys.fits(found, request.key, at):
            raise Refused(identity.WrongCredentials())
        bearer = await active.bearer_of(tx, found.org_id, found.principal_id)
        if bearer is None:
            raise Refused(identity.WrongCredentials())
        await keys.note_use(tx, found, at)
    return ctx.own.issuer.access(
        msgspec.structs.replace(bearer, sid=found.sid),
        ctx.new_id(),
        at,
        scope=" ".join(sorted(rights(found, bearer))),
        acting=f"{BY_KEY}{found.id}",
        ttl_s=_lifetime_s(keys.ends_at(found, request.key), at),
    )


def rights(found: keys.Found, bearer: Bearer) -> frozenset[str]:
    """What a key may do at this moment: what it says, what its owner may, and what the org leaves to keys."""
    org = bearer.rights if found.key_scopes is None else frozenset(found.key_scopes)
    return effective(frozenset(found.scopes), bearer.rights, org)


def _lifetime_s(ends_at: datetime | None, at: datetime) -> int:
    """A minute, or what is left of the key or of its rotated secret."""
    if ends_at is None:
        return identity.KEY_TOKEN_S
    return max(1, min(identity.KEY_TOKEN_S, int((ends_at - at).total_seconds())))


def _whose(ctx: Context[Own]) -> UUID | None:
    """Whose keys the caller sees: its own, or everybody's."""
    return None if EVERYONES in ctx.actor.scopes else ctx.actor.principal_id


def _in_person(ctx: Context[Own]) -> None:
    """A key makes no further keys, which would outlive it; nor does who acts for somebody. Refused(Forbidden)."""
    if ctx.actor.acting:
        raise Refused(Forbidden(scope="session"), "a key is made by whom it is for")
