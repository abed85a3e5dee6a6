"""The configuration text of nats-server: two accounts, one user a service, every limit given explicitly."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from polis.bus.permissions import ADMIN, User

SYSTEM = "system"
"""The user of the account in which the server tells of itself."""
MAX_PAYLOAD_BYTES = 1024 * 1024
MAX_PENDING_BYTES = 64 * 1024 * 1024
MAX_FILE_STORE_BYTES = 8 * 1024 * 1024 * 1024
MAX_MEMORY_STORE_BYTES = 64 * 1024 * 1024
MAX_CONNECTIONS = 1024
_REPLY_WITHIN = "10m"


class Broker(msgspec.Struct, frozen=True, kw_only=True):
    """Where the server listens and keeps its streams. Port -1 lets the kernel choose; no monitoring without a port.

    max_file_store: without a figure the server takes three quarters of what happens to be free when it starts, and
    after a restart may find its own streams too large.
    """

    store_dir: Path
    host: str = "127.0.0.1"
    port: int = 4222
    monitoring_port: int | None = None
    max_file_store: int = MAX_FILE_STORE_BYTES
    name: str = "polis"


def render_config(broker: Broker, users: Sequence[User], passwords: Mapping[str, str]) -> str:
    """The text for `nats-server -c`. `passwords` by user: each service, "admin" (streams and consumers) and "system".

    KeyError when one is missing. The text holds them: write it to a file that only its owner reads.
    """
    settings: dict[str, object] = {
        "server_name": broker.name,
        "listen": f"{broker.host}:{broker.port}",
        "max_payload": MAX_PAYLOAD_BYTES,
        "max_pending": MAX_PENDING_BYTES,
        "max_connections": MAX_CONNECTIONS,
        "write_deadline": "5s",
        "ping_interval": "20s",
        "jetstream": {
            "store_dir": str(broker.store_dir),
            "max_file_store": broker.max_file_store,
            "max_memory_store": MAX_MEMORY_STORE_BYTES,
        },
        "accounts": {
            "POLIS": {
                "jetstream": "enabled",
                "users": [_login(ADMIN, passwords), *(_service(u, passwords) for u in users)],
            },
            "SYS": {"users": [_login(SYSTEM, passwords)]},
        },
        "system_account": "SYS",
    }
    if broker.monitoring_port is not None:
        settings["http"] = f"127.0.0.1:{broker.monitoring_port}"
    return json.dumps(settings, indent=2)


def _login(name: str, passwords: Mapping[str, str]) -> dict[str, object]:
    return {"user": name, "password": passwords[name]}


def _service(user: User, passwords: Mapping[str, str]) -> dict[str, object]:
    permissions: dict[str, object] = {
        "publish": {"allow": user.publish},
        "subscribe": {"allow": user.subscribe},
    }
    if user.responds:
        permissions["allow_responses"] = {"max": 1, "expires": _REPLY_WITHIN}
    return _login(user.name, passwords) | {"permissions": permissions}
