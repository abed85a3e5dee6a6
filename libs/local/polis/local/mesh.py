"""What each service is given at its start, and what PostgreSQL needs before any service can run."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from ipaddress import ip_address
from typing import TYPE_CHECKING

from msgspec import Struct

from polis.bus.config import SYSTEM
from polis.bus.permissions import ADMIN
from polis.db.databases import create_database
from polis.db.migrate import migrate
from polis.db.provision import MIGRATOR, provision
from polis.local.failures import CannotStart, in_words
from polis.local.ports import LOOPBACK
from polis.local.postgres import DATABASE
from polis.proto.registry import SERVICES, ServiceEntry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from polis.local.home import Home
    from polis.local.postgres import Postgres

    UrlOf = Callable[[str, str], str]

GATEWAY = "gateway"
DRAIN_S, GATEWAY_DRAIN_S = 3.5, 1.5
"""How long a service may finish what it has begun: the whole mesh has ten seconds to end."""
_OWN = frozenset({"POLIS_POSTGRES_URL", "POLIS_NATS_URL", "POLIS_HOME", "POLIS_HOST", "POLIS_PORT"})
"""Settings of the supervisor itself, which services get in another form."""
_SHARED = frozenset({"POLIS_LOG_LEVEL", "POLIS_OTLP_URL", "POLIS_TRACE_RATIO"})
"""Settings that every service gets as they are."""
_MAX_PORT = 65535
_IPV6 = 6


class Addresses(Struct, frozen=True):
    """Where a service finds the servers. `nats_users`: each service has a user of its own there."""

    nats_url: str
    nats_users: bool
    url_of: Callable[[str, str], str]


class Front(Struct, frozen=True):
    """Where the gateway listens, and whether TLS ends there."""

    host: str
    port: int
    tls: bool = False

    @property
    def loopback(self) -> bool:
        return self.host == "localhost" or ip_address(self.host).is_loopback

    @property
    def address(self) -> str:
        """As one can type it on this machine."""
        scheme = "https" if self.tls else "http"
        if self.host == "localhost":
            return f"{scheme}://localhost:{self.port}"
        host = ip_address(self.host)
        if host.is_unspecified:
            host = ip_address("::1" if host.version == _IPV6 else LOOPBACK)
        return (
            f"{scheme}://[{host}]:{self.port}" if host.version == _IPV6 else f"{scheme}://{host}:{self.port}"
        )


def owners(services: Iterable[ServiceEntry] = SERVICES) -> list[str]:
    """Services that own a schema."""
    return [service.name for service in services if service.schema]


def nats_passwords(home: Home) -> dict[str, str]:
    names = [*(service.name for service in SERVICES), ADMIN, SYSTEM]
    return {name: home.secret(f"nats-{name}") for name in names}


async def prepare_database(home: Home, admin_url: str, url_of: UrlOf, names: list[str]) -> dict[str, str]:
    """Roles, schemas and migrations of these services; the failures by service.

    url_of: makes a role's URL from its name and password.
    """
    passwords = {role: home.secret(f"postgres-{role}") for role in (MIGRATOR, *(f"app_{n}" for n in names))}
    await provision(admin_url, names, passwords)
    migrator_url = url_of(MIGRATOR, passwords[MIGRATOR])
    failures = {}
    for service in names:
        try:
            await migrate(migrator_url, service)
        except Exception as error:  # noqa: BLE001 - one service's migration is that service's failure, and shown as such
            failures[service] = in_words(error)
    return failures


async def prepare_embedded(home: Home, postgres: Postgres, names: list[str]) -> dict[str, str]:
    await create_database(postgres.url(database="postgres"), DATABASE)
    return await prepare_database(home, postgres.url(), postgres.url, names)


def command_of(service: ServiceEntry) -> list[str]:
    """Without the working directory among the places that modules come from."""
    return [sys.executable, "-P", "-m", f"polis.{service.name}"]


def environment_of(
    service: ServiceEntry, home: Home, addresses: Addresses, *, place: tuple[str, int], front: Front
) -> dict[str, str]:
    """Its whole environment. Secrets and URLs with secrets go by file, so that no process list shows them."""
    given = {k: v for k, v in os.environ.items() if not k.startswith("POLIS_") or k in _SHARED}  # noqa: TID251 - the entry of the mesh
    name = service.name
    settings = {
        "POLIS_NATS_URL_FILE": _written(home, f"nats-url-{name}", addresses.nats_url),
        "POLIS_HOST": place[0],
        "POLIS_PORT": str(place[1]),
        "POLIS_CREDENTIAL_FILE": _written(home, f"credential-{name}", home.credential(name)),
        "POLIS_DRAIN_S": f"{GATEWAY_DRAIN_S if name == GATEWAY else DRAIN_S:g}",
    }
    if addresses.nats_users:
        settings["POLIS_NATS_USER"] = name
        settings["POLIS_NATS_PASSWORD_FILE"] = _kept(home, f"nats-{name}")
    if service.schema:
        role = f"app_{name}"
        url = addresses.url_of(role, home.secret(f"postgres-{role}"))
        settings["POLIS_POSTGRES_URL_FILE"] = _written(home, f"postgres-url-{name}", url)
    if name == "identity":
        settings |= _identity_settings(home, front)
    return given | settings | overrides(name)


def _identity_settings(home: Home, front: Front) -> dict[str, str]:
    """Sign-up is open only while nobody else can reach the gateway."""
    return {
        "POLIS_MESH_SECRET_FILE": _kept(home, "mesh"),
        "POLIS_SIGN_UP": "open" if front.loopback else "invitation",
        "POLIS_PUBLIC_URL": front.address,
        "POLIS_ADMIN_LINK_FILE": str(home.administrator_link),
    }


def front(host: str, port: int) -> Front:
    """As the gateway's own settings have it."""
    return Front(host, port, tls="POLIS_TLS_CERTIFICATE" in overrides(GATEWAY))


def overrides(service: str) -> dict[str, str]:
    """`POLIS_<SERVICE>__<SETTING>` in the supervisor's environment sets that service's POLIS_<SETTING>."""
    prefix = f"POLIS_{service.upper()}__"
    return {
        "POLIS_" + name.removeprefix(prefix): value
        for name, value in os.environ.items()  # noqa: TID251 - the entry of the mesh
        if name.startswith(prefix)
    }


def own_settings(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The supervisor's own POLIS_* settings; CannotStart for one that nobody reads."""
    services = tuple(f"POLIS_{service.name.upper()}__" for service in SERVICES)
    whole = os.environ if environment is None else environment  # noqa: TID251 - the entry of the mesh
    given = {k: v for k, v in whole.items() if k.startswith("POLIS_")}
    for name in given:
        if name not in _OWN | _SHARED and not name.startswith((*services, "POLIS_TEST_")):
            raise CannotStart(f"{name} is no setting; a service's own is set with POLIS_<SERVICE>__<SETTING>")
    port = given.get("POLIS_PORT", "1")
    if not port.isdecimal() or not 0 < int(port) <= _MAX_PORT:
        raise CannotStart(f"POLIS_PORT is {port!r}, and has to be a number from 1 to {_MAX_PORT}")
    host = given.get("POLIS_HOST", LOOPBACK)
    try:
        Front(host, 0).loopback  # noqa: B018 - asked for its refusal
    except ValueError:
        raise CannotStart(f"POLIS_HOST is {host!r}, and has to be an IP address or localhost") from None
    return {name: value for name, value in given.items() if name in _OWN}


def _written(home: Home, name: str, text: str) -> str:
    home.write(home.secrets / name, text)
    return str(home.secrets / name)


def _kept(home: Home, name: str) -> str:
    home.secret(name)
    return str(home.secrets / name)
