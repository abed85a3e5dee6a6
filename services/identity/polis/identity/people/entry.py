"""How a session begins and goes on: its rows and its tokens, in the transaction of a handler."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from polis.identity.audit.log import record
from polis.identity.people import accounts, sessions
from polis.identity.tenancy import orgs
from polis.identity.tokens import issue
from polis.proto import Refused, identity
from polis.proto.problems import Forbidden, Unauthenticated
from polis.service.actor import NOBODY
from polis.service.tokens import NO_ORG

if TYPE_CHECKING:
    from uuid import UUID

    from polis.db import Transaction
    from polis.identity.own import Own
    from polis.identity.people.accounts import Account
    from polis.service import Context


async def open_session(
    ctx: Context[Own],
    tx: Transaction,
    account: Account,
    memberships: tuple[identity.Membership, ...],
    org_id: UUID,
    *,
    proved_by: tuple[identity.Proof, ...] = ("pwd",),
) -> identity.Session:
    at = ctx.now()
    opened = await sessions.open_session(
        tx,
        account.id,
        org_id,
        ctx.own.config,
        session_id=ctx.new_id(),
        sid=ctx.new_id(),
        client=ctx.client,
        proved_by=proved_by,
        at=at,
    )
    return ctx.own.issuer.session(account, memberships, opened, ctx.new_id(), at)


async def enter(
    ctx: Context[Own],
    tx: Transaction,
    login: accounts.Login,
    wanted: UUID | None,
    *,
    proved_by: tuple[identity.Proof, ...],
) -> identity.Session:
    """Open a session of somebody who proved who they are, in the org that is wanted. Refused(OrgNotFound)."""
    memberships = await orgs.of_account(tx, login.id)
    org_id = home_of(memberships, wanted)
    account = accounts.Account(login.id, login.email, login.name)
    session = await open_session(ctx, tx, account, memberships, org_id, proved_by=proved_by)
    await sessions.end_surplus(tx, login.id, org_id, ctx.own.config, ctx.now())
    proofs = " ".join(proved_by)
    await note(
        ctx, tx, "session.opened", by=login.id, org_id=org_id, subject=session.session_id, proved_by=proofs
    )
    return session


def home_of(memberships: tuple[identity.Membership, ...], wanted: UUID | None) -> UUID:
    """The org in which a session begins. Refused(OrgNotFound) when it is to be one that the user is not in."""
    org_id = issue.home(memberships, *(() if wanted is None else (wanted,)))
    if wanted not in (None, org_id):
        raise Refused(identity.OrgNotFound(org_id=wanted))
    return org_id


async def renew(
    ctx: Context[Own], tx: Transaction, refresh_token: str, session: sessions.Session
) -> identity.Session:
    """The next tokens of a locked session, in the org where it was, or where the user still is."""
    at = ctx.now()
    account = await accounts.find(tx, session.account_id)
    if account is None:
        raise Refused(identity.RefreshRefused())
    memberships = await orgs.of_account(tx, account.id)
    current = msgspec.structs.replace(session, current_org=issue.home(memberships, session.current_org))
    opened = await sessions.rotate(tx, refresh_token, current, ctx.own.config, client=ctx.client, at=at)
    return ctx.own.issuer.session(account, memberships, opened, ctx.new_id(), at)


async def access(
    ctx: Context[Own], tx: Transaction, session: sessions.Session, *, until: int | None = None
) -> identity.AccessToken:
    """An access token of a live session, in the org where it is, or where the user still is. until: unix seconds."""
    account = await accounts.find(tx, session.account_id)
    if account is None:
        raise Refused(Unauthenticated())
    memberships = await orgs.of_account(tx, account.id)
    current = msgspec.structs.replace(session, current_org=issue.home(memberships, session.current_org))
    bearer, at = issue.user(account, memberships, current), ctx.now()
    ttl_s = None if until is None else max(1, until - int(at.timestamp()))
    return ctx.own.issuer.access(bearer, ctx.new_id(), at, ttl_s=ttl_s)


async def note(
    ctx: Context[Own],
    tx: Transaction,
    action: str,
    *,
    by: UUID | None = None,
    org_id: UUID | None = None,
    subject: UUID | None = None,
    **detail: str,
) -> None:
    """Write into an org's audit log what the client of this request did; the mesh's where there is no org.

    by, org_id: the actor's where they are not given. Let it be the last statement of the transaction.
    """
    actor = ctx.actor
    await record(
        tx,
        org_id=_log_of(actor.org_id if org_id is None else org_id),
        action=action,
        actor_id=by or (None if actor.kind == "anonymous" else actor.principal_id),
        subject="" if subject is None else str(subject),
        detail=detail | ({"address": ctx.client.address} if ctx.client.address else {}),
        at=ctx.now(),
    )


def _log_of(org_id: UUID) -> UUID:
    return issue.SYSTEM_ORG if org_id == NO_ORG else org_id


async def note_refused(ctx: Context[Own], action: str, account_id: UUID, *, of: str) -> None:
    """Write that a proof did not fit: into the log of the account's org, and of the mesh for NOBODY's.

    The same statements either way, so that the time tells nothing. What was given as an e-mail address stays out.
    """
    async with ctx.across_orgs() as tx:
        home = issue.home(await orgs.of_account(tx, account_id))
        known = None if account_id == NOBODY else account_id
        await note(ctx, tx, action, by=known, org_id=home, subject=known, of=of)


def own_session(ctx: Context[Own]) -> UUID:
    """The session of a user who acts in person. Refused(Forbidden) for agents, services, and who acts for a user."""
    actor = ctx.actor
    if actor.kind != "user" or actor.acting or actor.session_id is None:
        raise Refused(Forbidden(scope="session"), "only a signed-in user can do this")
    return actor.session_id
