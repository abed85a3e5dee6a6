"""How a session begins and goes on: its rows and its tokens, in the transaction of a handler."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from polis.identity.people import accounts, sessions
from polis.identity.tenancy import orgs
from polis.identity.tokens import issue
from polis.proto import Refused, identity

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
) -> identity.Session:
    at = ctx.now()
    opened = await sessions.open_session(
        tx, account.id, org_id, ctx.own.config, session_id=ctx.new_id(), sid=ctx.new_id(), at=at
    )
    return ctx.own.issuer.session(account, memberships, opened, ctx.new_id(), at)


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
    opened = await sessions.rotate(tx, refresh_token, current, ctx.own.config, at)
    return ctx.own.issuer.session(account, memberships, opened, ctx.new_id(), at)
