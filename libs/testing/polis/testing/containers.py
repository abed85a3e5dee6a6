"""Servers in containers, for a test session that asks for them with POLIS_TEST_BACKEND=containers."""

from __future__ import annotations

import os
import socket
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from polis.bus.config import Broker, render_config
from polis.bus.permissions import users

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_POSTGRES, _NATS = "pgvector/pgvector:pg18", "nats:2.15-alpine"
_NATS_PORT = 4222
_SOCKET = "unix:///var/run/docker.sock"
_CONNECT_S = 3.0


def wanted() -> bool:
    """Whether they were asked for. RuntimeError when no engine answers: a suite is never skipped in silence."""
    if os.environ.get("POLIS_TEST_BACKEND") != "containers":  # noqa: TID251 - the test kit has no settings
        return False
    engine = os.environ.get("DOCKER_HOST") or _SOCKET  # noqa: TID251 - as Docker's own clients read it
    try:
        _probe(engine)
    except OSError as error:
        raise RuntimeError(
            f"POLIS_TEST_BACKEND=containers, and no Docker engine answers at {engine}: {error.strerror or error}"
        ) from None
    return True


def _probe(engine: str) -> None:
    url = urlsplit(engine)
    if url.scheme != "unix":
        socket.create_connection((url.hostname or "", url.port or 2375), _CONNECT_S).close()
        return
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_CONNECT_S)
        probe.connect(url.path)


@contextmanager
def postgres() -> Iterator[str]:
    """Its administrator's URL."""
    from testcontainers.postgres import PostgresContainer

    with PostgresContainer(_POSTGRES, driver=None) as container:
        yield container.get_connection_url()


@contextmanager
def nats(passwords: Mapping[str, str]) -> Iterator[str]:
    """Its URL; the contract's users have these passwords."""
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.waiting_utils import wait_for_logs

    with tempfile.TemporaryDirectory(prefix="polis-nats-") as folder:
        config = Path(folder) / "nats.conf"
        broker = Broker(store_dir=Path("/data"), host="0.0.0.0", port=_NATS_PORT)  # noqa: S104 - inside its container
        config.write_text(render_config(broker, users(), passwords), encoding="utf-8")
        container = DockerContainer(_NATS).with_volume_mapping(folder, "/etc/polis")
        container.with_command("-c /etc/polis/nats.conf").with_exposed_ports(_NATS_PORT)
        with container:
            wait_for_logs(container, "Server is ready")
            yield f"nats://{container.get_container_host_ip()}:{container.get_exposed_port(_NATS_PORT)}"
