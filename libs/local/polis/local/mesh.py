"""What each service is given at its start, and what PostgreSQL and NATS need before any service can run."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from polis.bus.config import SYSTEM
from polis.bus.permissions import ADMIN
from polis.db.databases import create_database
from polis.db.migrate import migrate
from polis.db.provision import MIGRATOR, provision
from polis.local.postgres import DATABASE
from polis.proto.registry import SERVICES, ServiceEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from polis.local.home import Home
    from polis.local.postgres import Postgres

GATEWAY = "gateway"
_OWN = frozenset({"POLIS_POSTGRES_URL", "POLIS_NATS_URL", "POLIS_HOME"})
"""Settings of the supervisor itself, which services get in another form."""


class Addresses:
    """Where a service finds the servers. `app_url` makes a role's URL from its name and password."""

    def __init__(self, *, nats_url: str, nats_users: bool, app_url: Callable[[str, str], str]) -> None:
        self.nats_url = nats_url
        self.nats_users = nats_users
        self.app_url = app_url


def owners(services: Iterable[ServiceEntry] = SERVICES) -> list[str]:
    """Services that own a schema."""
    return [service.name for service in services if service.schema]


def nats_passwords(home: Home) -> dict[str, str]:
    names = [*(service.name for service in SERVICES), ADMIN, SYSTEM]
    return {name: home.secret(f"nats-{name}") for name in names}


def role_passwords(home: Home) -> dict[str, str]:
    roles = [MIGRATOR, *(f"app_{name}" for name in owners())]
    return {role: home.secret(f"postgres-{role}") for role in roles}


async def prepare_database(home: Home, admin_url: str, with_role: Callable[[str, str], str]) -> list[str]:
    """Roles, schemas and migrations; what was applied. `with_role(role, password)` is a URL for that role."""
    passwords = role_passwords(home)
    await provision(admin_url, owners(), passwords)
    migrator_url = with_role(MIGRATOR, passwords[MIGRATOR])
    return [f"{service}/{name}" for service in owners() for name in await migrate(migrator_url, service)]


async def prepare_embedded(home: Home, postgres: Postgres) -> list[str]:
    await create_database(postgres.url(database="postgres"), DATABASE)
    return await prepare_database(home, postgres.url(), postgres.url)


def command_of(service: ServiceEntry) -> list[str]:
    return [sys.executable, "-m", f"polis.{service.name}"]


def environment_of(
    service: ServiceEntry, home: Home, addresses: Addresses, *, host: str, port: int, address: str
) -> dict[str, str]:
    """The POLIS_* settings of a service; secrets by file, so that no process list shows them."""
    given = {k: v for k, v in os.environ.items() if not k.startswith("POLIS_")}  # noqa: TID251 - the entry of the mesh
    settings = {
        "POLIS_NATS_URL": addresses.nats_url,
        "POLIS_HOST": host,
        "POLIS_PORT": str(port),
        "POLIS_CREDENTIAL_FILE": str(
            _written(home, f"credential-{service.name}", home.credential(service.name))
        ),
    }
    if addresses.nats_users:
        home.secret(f"nats-{service.name}")
        settings["POLIS_NATS_USER"] = service.name
        settings["POLIS_NATS_PASSWORD_FILE"] = str(home.secrets / f"nats-{service.name}")
    if service.schema:
        role = f"app_{service.name}"
        url = addresses.app_url(role, role_passwords(home)[role])
        settings["POLIS_POSTGRES_URL_FILE"] = str(_written(home, f"postgres-url-{service.name}", url))
    if service.name == "identity":
        settings |= _identity_settings(home, address)
    return given | settings | overrides(service.name)


def _identity_settings(home: Home, address: str) -> dict[str, str]:
    """Sign-up is open only while nobody else can reach the gateway."""
    home.secret("mesh")
    loopback = address.startswith(("http://127.", "http://localhost", "http://[::1]"))
    return {
        "POLIS_MESH_SECRET_FILE": str(home.secrets / "mesh"),
        "POLIS_SIGN_UP": "open" if loopback else "invitation",
        "POLIS_PUBLIC_URL": address,
        "POLIS_ADMIN_LINK_FILE": str(home.administrator_link),
    }


def overrides(service: str) -> dict[str, str]:
    """`POLIS_<SERVICE>__<SETTING>` in the supervisor's environment sets that service's POLIS_<SETTING>."""
    prefix = f"POLIS_{service.upper()}__"
    return {
        "POLIS_" + name.removeprefix(prefix): value
        for name, value in os.environ.items()  # noqa: TID251 - the entry of the mesh
        if name.startswith(prefix)
    }


def own_settings() -> dict[str, str]:
    """The supervisor's own POLIS_* settings; ValueError for one that nobody reads."""
    services = tuple(f"POLIS_{service.name.upper()}__" for service in SERVICES)
    known = _OWN | {"POLIS_HOST", "POLIS_PORT"}
    given = {k: v for k, v in os.environ.items() if k.startswith("POLIS_")}  # noqa: TID251 - the entry of the mesh
    for name in given:
        if name not in known and not name.startswith(services) and not name.startswith("POLIS_TEST_"):
            raise ValueError(f"{name} is no setting; a service's own is set with POLIS_<SERVICE>__<SETTING>")
    return {name: value for name, value in given.items() if name in known}


def _written(home: Home, name: str, text: str) -> Path:
    path = home.secrets / name
    home.write(path, text)
    return path
