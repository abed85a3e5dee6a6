"""Who is let in how often: buckets by principal, by address, and a stricter one where credentials are tried."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, get_args
from uuid import UUID

from polis.gateway.buckets import Buckets
from polis.proto.gateway import CallHook
from polis.proto.identity import PrincipalKind
from polis.service.actor import ANONYMOUS
from polis.service.config import BadSettings

if TYPE_CHECKING:
    from polis.gateway.config import GatewaySettings
    from polis.gateway.http import Exchange
    from polis.gateway.proxies import Proxies
    from polis.proto import Operation
    from polis.service.actor import Actor

_KINDS = frozenset(get_args(get_args(PrincipalKind)[0]))
_name = lru_cache(maxsize=2_048)(str)
"""Of those who call often: it is a fifth of what a look at a bucket costs."""


class Admission:
    """The limits as the settings have them."""

    def __init__(self, settings: GatewaySettings, proxies: Proxies) -> None:
        s = settings
        self.proxies = proxies
        self._principals = Buckets("principal", rate_per_minute=s.principal_rate, burst=s.principal_burst)
        self._addresses = Buckets("address", rate_per_minute=s.address_rate, burst=s.address_burst)
        self._credentials = Buckets(
            "credentials", rate_per_minute=s.credentials_rate, burst=s.credentials_burst
        )
        self._hooks = Buckets("hooks", rate_per_minute=s.hooks_rate, burst=s.hooks_burst)
        self._tiers = Tiers(settings.tiers)

    @property
    def buckets(self) -> tuple[Buckets, ...]:
        return self._principals, self._addresses, self._credentials, self._hooks

    def take(self, exchange: Exchange, operation: Operation, actor: Actor) -> None:
        """Refused(Overloaded) when a bucket that applies is empty; what is left is told with the answer."""
        if actor is not ANONYMOUS:
            exchange.left = self._principals.take(_name(actor.principal_id), tier=self._tiers.of(actor))
            return
        site = self.proxies.site(exchange)
        if operation.request is CallHook:  # its senders are programs, and what they try is no password
            exchange.left = self._hooks.take(site)
            return
        exchange.left = self._addresses.take(site)
        if operation.mutates:
            exchange.left = self._credentials.take(site)


class Tiers:
    """What rate and burst are multiplied by: a factor for a kind of principals, times one for an org, as its plan says."""

    def __init__(self, text: str) -> None:
        """text: `service=10,agent=2,0190c0de-0000-7000-8000-000000000001=5`. BadSettings."""
        pairs = [part.partition("=") for part in text.split(",") if part.strip()]
        try:
            factors = {name.strip(): float(factor) for name, _, factor in pairs}
        except ValueError as error:
            raise BadSettings(f"POLIS_TIERS: {error}") from None
        if any(not 0 < factor <= 1_000_000 for factor in factors.values()):
            raise BadSettings(f"POLIS_TIERS: {text!r} holds a factor that is none")
        self._kinds = {kind: factors.pop(kind) for kind in _KINDS & factors.keys()}
        try:
            self._orgs = {UUID(org_id): factor for org_id, factor in factors.items()}
        except ValueError:
            raise BadSettings(f"POLIS_TIERS: {text!r} names what is no kind and no org") from None

    def of(self, actor: Actor) -> float:
        factor = self._kinds.get(actor.kind, 1.0)
        return factor * self._orgs.get(actor.org_id, 1.0) if self._orgs else factor
