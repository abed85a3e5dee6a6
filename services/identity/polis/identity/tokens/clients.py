"""Who signs in with client credentials: services of the mesh, and agents and applications of an org."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from polis.identity.audit.log import record
from polis.identity.principals import agents
from polis.identity.tokens import issue

if TYPE_CHECKING:
    from polis.identity.own import Own
    from polis.identity.tokens.issue import Bearer
    from polis.service import Context


async def sign_in(ctx: Context[Own], client_id: str, secret: str) -> Bearer | None:
    """Whose credentials these are; None when they are nobody's. An agent's org has it in its audit log either way."""
    if issue.is_service(client_id, secret, ctx.own.config.mesh_secret):
        return issue.service(client_id)
    agent_id = agents.id_of(client_id)
    if agent_id is None:
        return None
    async with ctx.across_orgs() as tx:
        agent = await agents.by_secret(tx, agent_id, secret, ctx.now())
        org_id = await tx.value("select org_id from identity.agents where id = $1", agent_id)
        if isinstance(org_id, UUID):
            action = "client.refused" if agent is None else "client.signed_in"
            await record(
                tx, org_id=org_id, action=action, actor_id=agent_id, subject=str(agent_id), at=ctx.now()
            )
    return None if agent is None else issue.agent(agent)
