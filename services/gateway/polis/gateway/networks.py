"""Networks that a setting names, and whether an address is in one of them."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from polis.service.config import BadSettings

_REMEMBERED = 4_096


class Networks:
    """`10.0.0.0/8,fd00::/8,192.0.2.1`: an address alone is a network of one. BadSettings, by the name of the setting."""

    def __init__(self, setting: str, text: str) -> None:
        try:
            self._networks = [ip_network(part.strip()) for part in text.split(",") if part.strip()]
        except ValueError as error:
            raise BadSettings(f"{setting}: {error}") from None

    def __contains__(self, address: str) -> bool:
        """What is no address is in none."""
        if not self._networks:
            return False
        parsed = parsed_address(address)
        return parsed is not None and any(parsed in network for network in self._networks)


@lru_cache(maxsize=_REMEMBERED)
def parsed_address(text: str) -> IPv4Address | IPv6Address | None:
    """None for what is no address; one of IPv4 that is written as one of IPv6 is the former."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
