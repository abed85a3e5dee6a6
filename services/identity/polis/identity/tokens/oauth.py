"""Answers to OAuth2 clients: tokens for credentials, what a token is worth, and its end."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from polis.identity.access import keys
from polis.identity.audit.log import record
from polis.identity.own import Own
from polis.identity.people import sessions
from polis.identity.principals import agents
from polis.identity.tokens import clients
from polis.proto import Refused, identity
from polis.proto.identity import Introspection
from polis.service import Context, Handlers
from polis.service.actor import actor_of
from polis.service.tokens import AUDIENCE, ISSUER, InvalidToken

if TYPE_CHECKING:
    from polis.db import Transaction
    from polis.service import Actor
    from polis.service.tokens import Claims

handlers = Handlers()
_NOTHING = Introspection(active=False)


@handlers.handles(identity.TradeCredentials)
async def trade_credentials(request: identity.TradeCredentials, ctx: Context[Own]) -> identity.OAuthToken:
    bearer = await clients.sign_in(ctx, request.client_id, request.client_secret)
    if bearer is None:
        raise Refused(identity.InvalidClient())
    asked = bearer.rights if request.scope is None else frozenset(request.scope.split())
    if not asked <= bearer.rights:
        raise Refused(identity.InvalidScope())
    scope = " ".join(sorted(asked))
    token = ctx.own.issuer.access(bearer, ctx.new_id(), ctx.now(), scope=scope)
    return identity.OAuthToken(token.access_token, "Bearer", token.expires_in_s, scope)


@handlers.handles(identity.IntrospectToken)
async def introspect_token(request: identity.IntrospectToken, ctx: Context[Own]) -> Introspection:
    async with ctx.across_orgs() as tx:
        if request.token.startswith("prt_"):
            return await _refresh_token(tx, ctx, request.token)
        claims = await live(tx, ctx, request.token)
    if claims is None or not _concerns(claims, ctx.actor):
        return _NOTHING
    return Introspection(
        active=True,
        scope=" ".join(sorted(actor_of(claims, request.token, None).scopes)),
        client_id=claims.act["sub"] if claims.act else str(claims.sub),
        username=claims.name,
        token_type="Bearer",  # noqa: S106 - what RFC 7662 calls it
        exp=claims.exp,
        iat=claims.iat,
        nbf=claims.nbf,
        sub=str(claims.sub),
        aud=AUDIENCE,
        iss=ISSUER,
        jti=claims.jti,
        org=str(claims.org),
        kind=claims.kind,
    )


@handlers.handles(identity.RevokeToken)
async def revoke_token(request: identity.RevokeToken, ctx: Context[Own]) -> identity.Revoked:
    async with ctx.across_orgs() as tx:
        if request.token.startswith("prt_"):
            await _end_session(tx, ctx, await sessions.lock(tx, request.token))
        elif (key_id := keys.id_of(request.token)) is not None:
            await _revoke_key(tx, ctx, key_id, request.token)
        elif (claims := await live(tx, ctx, request.token)) is not None:
            await _revoke_access(tx, ctx, claims)
    return identity.Revoked()


async def live(tx: Transaction, ctx: Context[Own], token: str) -> Claims | None:
    """What an access token claims, while every service would let it in."""
    try:
        claims = ctx.own.keys.verify(token, ctx.now())
    except InvalidToken:
        return None
    ended = claims.sid is not None and await tx.value(
        "select true from identity.revocations where sid = $1 and until > $2", claims.sid, ctx.now()
    )
    return None if ended else claims


def _concerns(claims: Claims, actor: Actor) -> bool:
    """Whether the caller may know what the token is worth."""
    return actor.of_mesh or actor.principal_id == claims.sub or actor.org_id == claims.org


async def _refresh_token(tx: Transaction, ctx: Context[Own], token: str) -> Introspection:
    session = await sessions.lock(tx, token)
    if session is None or not (ctx.actor.of_mesh or ctx.actor.principal_id == session.account_id):
        return _NOTHING
    outcome = await sessions.judge(tx, token, session, ctx.own.config, ctx.now())
    if outcome is not sessions.Outcome.UNUSED:
        return _NOTHING
    return Introspection(
        active=True,
        token_type="refresh_token",  # noqa: S106 - its kind
        exp=int((await sessions.expiry(tx, token)).timestamp()),
        sub=str(session.account_id),
        iss=ISSUER,
        org=str(session.current_org),
        kind="user",
    )


async def _end_session(tx: Transaction, ctx: Context[Own], session: sessions.Session | None) -> None:
    if session is not None:
        await sessions.end(tx, session, ctx.own.config, ctx.now())
        await _note(tx, ctx, "session.revoked", session.current_org, session.account_id)


async def _revoke_key(tx: Transaction, ctx: Context[Own], key_id: UUID, text: str) -> None:
    """Whoever holds a key may end it, a finder included: that is what it is good for."""
    found = await keys.find(tx, key_id)
    if found is None or not keys.fits(found, text, ctx.now()):
        return
    sid = await keys.revoke(tx, await keys.get(tx, found.org_id, found.id, None))
    if sid is not None:
        await sessions.revoke(tx, found.org_id, sid, ctx.own.config, ctx.now())
        await _note(tx, ctx, "key.revoked", found.org_id, found.principal_id)


async def _revoke_access(tx: Transaction, ctx: Context[Own], claims: Claims) -> None:
    """A user's ends with its session; an agent's with all that it has now, since they share a session id."""
    at, config = ctx.now(), ctx.own.config
    if claims.act or claims.sid is None:
        raise Refused(identity.UnsupportedTokenType())
    if claims.kind == "user":
        await tx.execute(
            "delete from identity.sessions where sid = $1 and account_id = $2", claims.sid, claims.sub
        )
        await sessions.revoke(tx, claims.org, claims.sid, config, at)
        await _note(tx, ctx, "session.revoked", claims.org, claims.sub)
        return
    if await agents.find(tx, claims.org, str(claims.sub)) is None:
        return
    agent = await agents.lock(tx, claims.org, str(claims.sub))
    await sessions.revoke(tx, claims.org, await agents.renew_sid(tx, agent), config, at)
    await _note(tx, ctx, "agent_tokens.revoked", claims.org, claims.sub)


async def _note(tx: Transaction, ctx: Context[Own], action: str, org_id: UUID, whose: UUID) -> None:
    """In the name of whose token it was: nobody else is known."""
    await record(
        tx,
        org_id=org_id,
        action=action,
        actor_id=whose,
        subject=str(whose),
        detail={"by": "who held it"},
        at=ctx.now(),
    )
