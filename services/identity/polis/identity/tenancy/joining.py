"""How somebody comes into an org, and what ends with a role: in the transaction of a handler."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polis.identity.access import leaving
from polis.identity.tenancy import invitations, narrowing, orgs, roles
from polis.proto import identity

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from polis.db import Transaction
    from polis.identity.own import Own
    from polis.identity.people.accounts import Account
    from polis.service import Context


async def org_to_join(ctx: Context[Own], invitation: str | None) -> UUID:
    """The org that an invitation names, or the id of a new one; an unknown token is refused when it is used."""
    if invitation is None:
        return ctx.new_id()
    async with ctx.across_orgs() as tx:
        return await invitations.org_of(tx, invitation) or ctx.new_id()


async def found_org(
    ctx: Context[Own], tx: Transaction, org_id: UUID, name: str, owner_id: UUID
) -> identity.Membership:
    org = identity.Org(org_id, name, ctx.now())
    await orgs.create(tx, org, owner_id, sid=ctx.new_id())
    return identity.Membership(org, "owner")


async def join_by_invitation(
    ctx: Context[Own], tx: Transaction, token: str, account: Account
) -> identity.Membership:
    accepted = await invitations.accept(tx, token, account.email, ctx.now())
    return await join_accepted(ctx, tx, accepted, account)


async def join_accepted(
    ctx: Context[Own], tx: Transaction, accepted: invitations.Accepted, account: Account
) -> identity.Membership:
    await orgs.join(tx, accepted.org_id, account.id, accepted.role, sid=ctx.new_id(), at=ctx.now())
    return await orgs.membership(tx, accepted.org_id, account.id)


async def forget_role(
    ctx: Context[Own],
    tx: Transaction,
    org_id: UUID,
    holders: Sequence[orgs.Holder],
    *,
    now: frozenset[str] | None,
) -> None:
    """Have every token refused that tells of these members' old role, and end what that role had invited.

    now: the scopes of the new role; None for members who leave, whose keys, grants and secrets end too.
    """
    at = ctx.now()
    await narrowing.end_tokens(tx, org_id, holders, ctx.own.config, at)
    if now is None:
        for holder in holders:
            await leaving.forget(tx, org_id, holder.account_id, ctx.own.config, at)
    inviters = [holder.account_id for holder in holders]
    await invitations.withdraw_of(tx, org_id, inviters, but=await _inviting(tx, org_id, now or frozenset()))


async def _inviting(tx: Transaction, org_id: UUID, scopes: frozenset[str]) -> list[str]:
    """The roles to which somebody with these scopes may invite."""
    if orgs.MANAGES_MEMBERS not in scopes:
        return []
    return [role.key for role in await roles.of_org(tx, org_id) if scopes.issuperset(role.scopes)]
