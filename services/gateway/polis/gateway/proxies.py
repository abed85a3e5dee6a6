"""What proxies in front say of a client, believed from the networks that the settings name and from nobody else."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv6Address
from typing import TYPE_CHECKING

from polis.gateway.networks import Networks, parsed_address

if TYPE_CHECKING:
    from polis.gateway.http import Exchange

_SITE_BITS = 64
"""Bits of an IPv6 address that are one site's: the others are free to whoever is there."""
_PORTED = re.compile(r"\[(?P<v6>[0-9A-Fa-f:.]+)\](?::[0-9]+)?|(?P<v4>[0-9.]+):[0-9]+")
"""How some proxies write an address: with the port that it came from, which is another for each connection."""


class Proxies:
    """The trusted ones, as networks separated by commas. BadSettings."""

    def __init__(self, trusted: str) -> None:
        self._trusted = Networks("POLIS_TRUSTED_PROXIES", trusted)

    def address(self, exchange: Exchange) -> str:
        """The client's address: the connection's, or the last that is forwarded and no trusted proxy's."""
        address = exchange.peer
        if address not in self._trusted:
            return address
        for hop in reversed(exchange.header(b"x-forwarded-for").split(",")):
            address = _without_port(hop.strip()) or address
            if address not in self._trusted:
                break
        return address

    def site(self, exchange: Exchange) -> str:
        """By what its limits are counted: its address, of an IPv6 address the part that whoever is there cannot choose."""
        return site_of(self.address(exchange))

    def trusts(self, peer: str) -> bool:
        """Whether what this address forwards is believed."""
        return peer in self._trusted

    def secure(self, exchange: Exchange) -> bool:
        """Whether the client came by TLS, here or at a trusted proxy."""
        if exchange.peer in self._trusted:
            return exchange.header(b"x-forwarded-proto") == "https"
        return exchange.secure


def _without_port(told: str) -> str:
    found = _PORTED.fullmatch(told)
    return told if found is None else found["v6"] or found["v4"]


@lru_cache(maxsize=4096)
def site_of(address: str) -> str:
    """The part of an address that whoever is there cannot choose."""
    parsed = parsed_address(address)
    if not isinstance(parsed, IPv6Address):
        return address if parsed is None else str(parsed)
    return str(IPv6Address(int(parsed) >> (128 - _SITE_BITS) << (128 - _SITE_BITS)))
