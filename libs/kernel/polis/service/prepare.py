"""`python -m polis.service.prepare`: roles and schemas in PostgreSQL, streams and consumers in NATS, before the services.

For containers, where no supervisor does it. Passwords come from a folder with one file a role (`POLIS_PASSWORDS`); the
administrators' URLs from POLIS_ADMIN_POSTGRES_URL and POLIS_ADMIN_NATS_URL, each also as `..._FILE`. Each service's own
image then migrates its schema with `--migrate`.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from urllib.parse import urlsplit

from polis.bus.admin import declare
from polis.db.provision import MIGRATOR, provision
from polis.proto.registry import SERVICES
from polis.service import config
from polis.service.config import Secret
from polis.telemetry import configure, log


class Preparation(config.Settings, frozen=True, kw_only=True):
    """Where the servers are, seen by their administrators."""

    admin_postgres_url: Secret = Secret("")
    admin_nats_url: Secret = Secret("")
    passwords: Path = Path("passwords")


async def prepare(settings: Preparation) -> None:
    """Make or refresh all of it; again and again with the same result."""
    owners = [service.name for service in SERVICES if service.schema]
    roles = [MIGRATOR, *(f"app_{name}" for name in owners)]
    passwords = {role: (settings.passwords / role).read_text(encoding="ascii").strip() for role in roles}
    await provision(str(settings.admin_postgres_url), owners, passwords)
    url = urlsplit(str(settings.admin_nats_url))
    await declare(str(settings.admin_nats_url), url.username or "", url.password or "")
    log.info("prepared", services=owners)


if __name__ == "__main__":
    try:
        given = config.read(Preparation)
    except config.BadSettings as error:
        sys.exit(str(error))
    configure("prepare")
    asyncio.run(prepare(given))
