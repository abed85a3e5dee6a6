"""Who is let in how often: buckets by principal, by address, and a stricter one where credentials are tried."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from polis.gateway.buckets import Buckets
from polis.proto.gateway import CallHook
from polis.service.actor import ANONYMOUS

if TYPE_CHECKING:
    from polis.gateway.config import GatewaySettings
    from polis.gateway.http import Exchange
    from polis.gateway.proxies import Proxies
    from polis.proto import Operation
    from polis.service.actor import Actor

_name = lru_cache(maxsize=2_048)(str)
"""Of those who call often: it is a fifth of what a look at a bucket costs."""


class Admission:
    """The limits as the settings have them. `tiers` multiplies rate and burst for kinds of principals."""

    def __init__(self, settings: GatewaySettings, proxies: Proxies) -> None:
        s = settings
        self.proxies = proxies
        self._principals = Buckets("principal", rate_per_minute=s.principal_rate, burst=s.principal_burst)
        self._addresses = Buckets("address", rate_per_minute=s.address_rate, burst=s.address_burst)
        self._credentials = Buckets(
            "credentials", rate_per_minute=s.credentials_rate, burst=s.credentials_burst
        )
        self._hooks = Buckets("hooks", rate_per_minute=s.hooks_rate, burst=s.hooks_burst)
        self._tiers = tiers_of(settings.tiers)

    @property
    def buckets(self) -> tuple[Buckets, ...]:
        return self._principals, self._addresses, self._credentials, self._hooks

    def take(self, exchange: Exchange, operation: Operation, actor: Actor) -> None:
        """Refused(Overloaded) when a bucket that applies is empty; what is left is told with the answer."""
        if actor is not ANONYMOUS:
            tier = self._tiers.get(actor.kind, 1.0)
            exchange.left = self._principals.take(_name(actor.principal_id), tier=tier)
            return
        site = self.proxies.site(exchange)
        if operation.request is CallHook:  # its senders are programs, and what they try is no password
            exchange.left = self._hooks.take(site)
            return
        exchange.left = self._addresses.take(site)
        if operation.mutates:
            exchange.left = self._credentials.take(site)


def tiers_of(text: str) -> dict[str, float]:
    """`service=10,agent=2` as numbers by kind. ValueError."""
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    tiers = {kind.strip(): float(factor) for kind, _, factor in pairs}
    if any(not 0 < factor <= 1_000_000 for factor in tiers.values()):
        raise ValueError(f"POLIS_TIERS: {text!r} holds a factor that is none")
    return tiers
