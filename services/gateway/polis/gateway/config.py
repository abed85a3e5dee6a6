"""The gateway's settings."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from polis.service import Settings

Rate = Annotated[float, Meta(gt=0, le=1_000_000)]


class GatewaySettings(Settings, frozen=True, kw_only=True):
    """Rates are requests a minute; a burst is what may come at once. `origins` are those that may use cookies.

    tls_certificate, tls_key: paths of PEM files; with them the port speaks TLS alone.
    """

    port: Annotated[int, Meta(ge=0, le=65535)] = 8080
    tls_certificate: str = ""
    tls_key: str = ""
    origins: str = ""
    principal_rate: Rate = 100
    principal_burst: Annotated[int, Meta(ge=1)] = 200
    address_rate: Rate = 67
    address_burst: Annotated[int, Meta(ge=1)] = 200
    credentials_rate: Rate = 20
    credentials_burst: Annotated[int, Meta(ge=1)] = 20
    hooks_rate: Rate = 600
    hooks_burst: Annotated[int, Meta(ge=1)] = 600
    tiers: str = ""
    cors_origins: str = ""
    trusted_proxies: str = ""
    metrics_from: str = ""
    connections: Annotated[int, Meta(ge=1, le=1_000_000)] = 10_000
    connections_per_address: Annotated[int, Meta(ge=1, le=1_000_000)] = 1_000
    sockets: Annotated[int, Meta(ge=1, le=100_000)] = 5_000
    sockets_per_principal: Annotated[int, Meta(ge=1, le=100_000)] = 50
    sockets_per_address: Annotated[int, Meta(ge=1, le=100_000)] = 1_000
    socket_rate: Rate = 6_000
    socket_burst: Annotated[int, Meta(ge=1)] = 1_000
    socket_unread_bytes: Annotated[int, Meta(ge=64 * 1024, le=256 * 1024 * 1024)] = 1024 * 1024
    subscriptions_per_socket: Annotated[int, Meta(ge=1, le=10_000)] = 100
    calls_per_socket: Annotated[int, Meta(ge=1, le=10_000)] = 64
