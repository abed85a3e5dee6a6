"""What proxies in front say of a client, believed from the addresses that the settings name and from nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from polis.gateway.http import Exchange


class Proxies:
    """The trusted ones, as addresses separated by commas."""

    def __init__(self, trusted: str) -> None:
        self._trusted = frozenset(address.strip() for address in trusted.split(",") if address.strip())

    def address(self, exchange: Exchange) -> str:
        """The client's address: the connection's, or the last that a trusted proxy forwards."""
        address = exchange.peer
        if address in self._trusted:
            return exchange.header(b"x-forwarded-for").rpartition(",")[2].strip() or address
        return address

    def trusts(self, peer: str) -> bool:
        """Whether what this address forwards is believed."""
        return peer in self._trusted

    def secure(self, exchange: Exchange) -> bool:
        """Whether the client came by TLS, here or at a trusted proxy."""
        if exchange.peer in self._trusted:
            return exchange.header(b"x-forwarded-proto") == "https"
        return exchange.secure
