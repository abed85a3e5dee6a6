"""Which addresses runs may connect to: public ones, and those that the operator's setting names.

What is judged is the address that is connected to, never a name: a name may lead elsewhere a moment later.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable

from msgspec import Struct

from polis.runtime.component import StepFailed

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_INWARDS = tuple(
    ipaddress.ip_network(network)
    for network in ("fec0::/10", "64:ff9b:1::/48", "3fff::/20", "5f00::/16", "192.88.99.0/24", "192.0.0.0/24")
)
"""Networks that lead inwards, or to nobody, and that not every Python's list of those has."""
_NOWHERE = ipaddress.IPv4Address(0)
RESOLVE_S = 5.0


class Entry(Struct, frozen=True):
    """What is allowed: a network or a name (`*.corp.example`: every name below), and a port where one is named."""

    network: Network | None
    name: str
    port: int | None

    def covers(self, host: str, address: Address, port: int) -> bool:
        if self.port not in (None, port):
            return False
        if self.network is not None:
            return address in self.network
        if self.name.startswith("*."):
            return host.endswith(self.name[1:])
        return host == self.name


class Allowed:
    """The operator's setting: `10.1.0.0/16, 127.0.0.1:8080, [::1]:8080, intranet.example, *.corp.example:443`."""

    def __init__(self, setting: str = "") -> None:
        self._entries = tuple(_entry(part.strip()) for part in setting.split(",") if part.strip())

    def permits(self, host: str, address: str, port: int) -> bool:
        """Whether runs may connect to this address, which `host` has led to."""
        place = _judged(ipaddress.ip_address(address.partition("%")[0]))
        return is_public(place) or self.names(host, str(place), port)

    def names(self, host: str, address: str, port: int) -> bool:
        """Whether the setting itself has it."""
        place, name = ipaddress.ip_address(address.partition("%")[0]), host.lower().rstrip(".")
        return any(entry.covers(name, place, port) for entry in self._entries)

    def names_host(self, host: str, port: int) -> bool:
        """Whether the setting names this host as it is written."""
        try:
            return self.names(host, host, port)
        except ValueError:
            name = host.lower().rstrip(".")
            return any(
                entry.network is None and entry.covers(name, _NOWHERE, port) for entry in self._entries
            )

    async def resolve(self, host: str, port: int) -> list[tuple[socket.AddressFamily, str]]:
        """The addresses of a host that may be connected to. StepFailed `egress.*` when there is none."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(RESOLVE_S):
                found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError, TimeoutError):
            raise StepFailed(
                "egress.unknown", f"no address is known of `{host:.200}`", retryable=True
            ) from None
        places = [(family, str(where[0])) for family, _, _, _, where in found]
        permitted = [(family, address) for family, address in places if self.permits(host, address, port)]
        if not permitted:
            raise refused(host)
        return list(dict.fromkeys(permitted))


def covers(hosts: Iterable[str], host: str, port: int) -> bool:
    """Whether one of these (`api.example`, `*.corp.example:443`, `[::1]`) is the host, as both are written."""
    name = host.lower().rstrip(".")
    return any(_written(part, name, port) for part in hosts)


def _written(part: str, name: str, port: int) -> bool:
    host, _, rest = part.removeprefix("[").partition("]" if part.startswith("[") else ":")
    wanted = rest.removeprefix(":")
    if wanted and int(wanted) != port:
        return False
    return name.endswith(host[1:]) if host.startswith("*.") else name == host


def refused(host: str) -> StepFailed:
    return StepFailed(
        "egress.refused",
        f"runs may not connect to `{host:.200}`: its address is not public, and POLIS_EGRESS_ALLOW does not name it",
    )


def is_public(address: Address) -> bool:
    inwards = address.is_multicast or address.is_reserved or any(address in network for network in _INWARDS)
    return address.is_global and not inwards


def _judged(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, by whichever of the ways there are; else itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    inside = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
    if inside is None and address in _NAT64:
        inside = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if inside is None and int(address) >> 32 == 0 and int(address) > 1:
        inside = ipaddress.IPv4Address(int(address))
    return inside or address


def _entry(part: str) -> Entry:
    """One part of the setting; ValueError stops the process at its start."""
    host, port = part, None
    if part.startswith("["):
        host, _, rest = part[1:].partition("]")
        port = int(rest.removeprefix(":")) if rest else None
    elif part.count(":") == 1:
        host, _, number = part.partition(":")
        port = int(number)
    try:
        return Entry(ipaddress.ip_network(host), "", port)
    except ValueError:
        if "/" in host:
            raise
        return Entry(None, host.lower().rstrip("."), port)
