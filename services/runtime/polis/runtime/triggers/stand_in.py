"""Acting for whoever activated a trigger.

With what they may do in their org at this moment, and no more than the token could by which they activated it.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from polis.db import Deadline
from polis.proto.contract import operation_of, operations
from polis.proto.identity import Delegate
from polis.proto.runtime import StartRun
from polis.service import Context
from polis.service.actor import admit
from polis.telemetry import trace

if TYPE_CHECKING:
    from uuid import UUID

    from polis.runtime.own import Own
    from polis.service import Actor, Kernel

TTL_S = 5.0
"""So late does it count that somebody was suspended, has left, or may do less."""
TIMEOUT_S = 15.0
_KEPT = 1024


class StandIn:
    """Contexts in which runs are started as somebody who is not there."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._known: OrderedDict[tuple[UUID, UUID, tuple[str, ...]], tuple[float, Actor]] = OrderedDict()
        self._scopes = frozenset(o.scope for o in operations() if ":" in o.scope)

    async def context(
        self, own: Own, request: StartRun, org_id: UUID, principal_id: UUID, scopes: Sequence[str]
    ) -> Context[Own]:
        """As if they had sent the request now, by a token of these scopes. Refused(PrincipalNotFound), or Forbidden when they may start no run."""
        actor = await self.actor(org_id, principal_id, scopes)
        operation = operation_of(StartRun)
        admit(operation, actor)
        return Context(
            self._kernel,
            own,
            operation,
            request,
            actor=actor,
            deadline=Deadline.after(TIMEOUT_S),
            trace=trace.current() or trace.start(),
            key="",
            headers={},
        )

    async def actor(self, org_id: UUID, principal_id: UUID, wanted: Sequence[str]) -> Actor:
        """Somebody of an org with those of these scopes that they have. Refused(PrincipalNotFound)."""
        scopes = tuple(sorted(set(wanted) & self._scopes))
        kept = self._known.get((org_id, principal_id, scopes))
        if kept is not None and time.monotonic() < kept[0]:
            return kept[1]
        keys = self._kernel.keys
        token = await self._kernel.caller.call(
            Delegate(org_id, principal_id, scopes), token=await keys.own_token(), timeout_s=TIMEOUT_S
        )
        actor = await keys.actor(token.access_token, None)
        self._known[org_id, principal_id, scopes] = (time.monotonic() + TTL_S, actor)
        self._known.move_to_end((org_id, principal_id, scopes))
        if len(self._known) > _KEPT:
            self._known.popitem(last=False)
        return actor
