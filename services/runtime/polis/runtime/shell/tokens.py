"""Tokens by which steps act: for the one that a run acts as, narrowed to the scopes that its components declare."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING
from uuid import UUID

from polis.proto import Refused, identity
from polis.runtime.component import StepFailed

if TYPE_CHECKING:
    from polis.proto.runtime import Run
    from polis.service import Kernel

_TOKENS = 4096
_RENEW_AT = 0.6
"""A token is renewed after this share of its lifetime."""

Holder = tuple[UUID, UUID, tuple[str, ...]]


class Tokens:
    """The tokens of this process's runs."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._known: OrderedDict[Holder, tuple[float, str]] = OrderedDict()

    async def of(self, run: Run, scopes: tuple[str, ...]) -> str:
        """A token of the one that a run acts as, with these scopes as far as that one has them."""
        return await self.for_principal(run.org_id, run.actor_id, scopes)

    async def for_principal(self, org_id: UUID, principal_id: UUID, scopes: tuple[str, ...]) -> str:
        """A token of somebody of an org. StepFailed when there is nobody of this id any more."""
        holder = (org_id, principal_id, scopes)
        renew_at, token = self._known.get(holder, (0.0, ""))
        if time.monotonic() < renew_at:
            return token
        request = identity.Delegate(org_id=org_id, principal_id=principal_id, scopes=scopes)
        try:
            answer = await self._kernel.caller.call(request, token=await self._kernel.keys.own_token())
        except Refused as refusal:
            if isinstance(refusal.problem, identity.PrincipalNotFound):
                raise StepFailed(
                    "actor.gone", "the one that this run acts as is not in the org any more"
                ) from None
            raise
        self._known[holder] = (time.monotonic() + answer.expires_in_s * _RENEW_AT, answer.access_token)
        if len(self._known) > _TOKENS:
            self._known.popitem(last=False)
        return answer.access_token

    def forget(self, run: Run, scopes: tuple[str, ...]) -> None:
        """One that was refused ended before its time, as when a role changes: another one may hold."""
        self.drop(run.org_id, run.actor_id, scopes)

    def drop(self, org_id: UUID, principal_id: UUID, scopes: tuple[str, ...]) -> None:
        """The same, of somebody."""
        self._known.pop((org_id, principal_id, scopes), None)
