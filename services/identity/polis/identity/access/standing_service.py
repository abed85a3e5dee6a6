"""Answers about what somebody is in an org at this moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polis.identity.access import grants, units
from polis.identity.own import Own
from polis.identity.principals import active, agents
from polis.identity.tenancy import orgs
from polis.identity.tokens.issue import Bearer, manages
from polis.proto import Refused, identity
from polis.service import Context, Handlers
from polis.service.access import Question, Who, weigh

if TYPE_CHECKING:
    from polis.db import Tenant

handlers = Handlers()


@handlers.handles(identity.GetStanding)
async def get_standing(request: identity.GetStanding, ctx: Context[Own]) -> identity.Standing:
    org_id, principal_id = request.org_id, request.principal_id
    db = ctx.own.database.tenant(org_id, deadline=ctx.deadline)
    bearer = await active.bearer_of(db, org_id, principal_id)
    if bearer is None:
        raise Refused(identity.PrincipalNotFound(principal_id=principal_id))
    agent = await agents.find(db, org_id, str(principal_id)) if bearer.kind != "user" else None
    above = await units.chain(db, org_id, agent.unit_id) if agent is not None else frozenset()
    who = Who(principal_id, bearer.roles[org_id], bearer.rights, above)
    held = await grants.held_by(db, org_id, who, request.verb)
    now = ctx.now()
    return identity.Standing(
        principal_id=principal_id,
        kind=bearer.kind,
        role=who.role,
        scopes=tuple(sorted(who.scopes)),
        second_factor=await _wants_factor(db, bearer),
        makers=() if agent is None else await agents.makers(db, org_id, principal_id),
        opened=tuple(
            identity.Opened(grant.resource, grant.conditions.expires_at)
            for grant in held
            if weigh(grant, who, Question(request.verb, grant.resource), now) == "counts"
        ),
    )


async def _wants_factor(db: Tenant, bearer: Bearer) -> bool:
    """Whether a person does something in this org in sessions with a second factor alone."""
    org_id = bearer.org_id
    if bearer.kind != "user" or not manages(bearer.roles[org_id], tuple(bearer.scopes.get(org_id, ()))):
        return False
    return (await orgs.settings(db, org_id)).second_factor
