"""Who may do which component's jobs: members of the org all of them, agents and applications those that a grant opens to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polis.proto import Refused
from polis.proto.identity import GetStanding, PrincipalNotFound
from polis.proto.problems import Forbidden
from polis.service.access import matches

if TYPE_CHECKING:
    from collections.abc import Iterable

    from polis.proto.identity import Opened
    from polis.runtime.own import Own
    from polis.service import Context

WORKS = "runtime:work"


async def demand_components(ctx: Context[Own], components: Iterable[str]) -> None:
    """Refused(Forbidden), naming the first component that is not for the caller. Asked of identity at each claim."""
    if ctx.actor.kind == "user":
        return
    opened = await _opened(ctx)
    for key in sorted(set(components)):
        resource = f"component/{key}"
        if not any(matches(each.resource, resource) for each in opened):
            raise Refused(Forbidden(scope=WORKS), f"no grant of it on {resource}")


async def _opened(ctx: Context[Own]) -> tuple[Opened, ...]:
    request = GetStanding(ctx.actor.org_id, ctx.actor.principal_id, WORKS)
    try:
        return (await ctx.call(request, as_service=True)).opened
    except Refused as refusal:
        if isinstance(refusal.problem, PrincipalNotFound):
            return ()
        raise
