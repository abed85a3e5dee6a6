"""The servers that a client may connect to: those of its URL, then those that they name in their INFO."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

import msgspec

_PORT = 4222


class Server(msgspec.Struct, frozen=True):
    """Where one server listens. `tls_name` is what its certificate is made out to."""

    host: str
    port: int
    tls_name: str

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Servers:
    """`nats://a:4222,nats://b` or `tls://...`; user and password may stand in the URL."""

    def __init__(self, url: str) -> None:
        parts = [urlsplit(part if "://" in part else f"nats://{part}") for part in url.split(",")]
        hosts = [part.hostname for part in parts]
        if not all(hosts):
            raise ValueError("not a NATS URL: expected nats://host:port")
        self.named = tuple(Server(p.hostname or "", p.port or _PORT, p.hostname or "") for p in parts)
        self.user = unquote(parts[0].username) if parts[0].username else None
        self.password = unquote(parts[0].password) if parts[0].password else None
        self.tls = any(part.scheme == "tls" for part in parts)
        self._learned: tuple[Server, ...] = ()
        self._turn = 0

    def learn(self, addresses: Iterable[str]) -> None:
        """Take over what a server says of its cluster; certificates there are made out to the name we know."""
        known = {(server.host, server.port) for server in self.named}
        found = [urlsplit(f"nats://{address}") for address in addresses]
        self._learned = tuple(
            Server(part.hostname or "", part.port or _PORT, self.named[0].tls_name)
            for part in found
            if (part.hostname, part.port or _PORT) not in known
        )

    def next_round(self) -> tuple[Server, ...]:
        """All servers once, starting one further each time, so that a failing one is not always tried first."""
        every = self.named + self._learned
        start = self._turn % len(every)
        self._turn += 1
        return every[start:] + every[:start]

    def context(self, given: ssl.SSLContext | None) -> ssl.SSLContext | None:
        if given is not None or not self.tls:
            return given
        return ssl.create_default_context()
