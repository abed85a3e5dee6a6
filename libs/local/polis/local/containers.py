"""The secrets that docker-compose.yml mounts: generated, one file each, in a folder that only its owner may enter.

The files themselves are readable: Compose mounts each as it is, whoever owns it, and the services are another user in their containers.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from polis.bus.config import SYSTEM, Broker, render_config
from polis.bus.permissions import ADMIN, users
from polis.db.provision import MIGRATOR
from polis.local.home import Home, credential
from polis.local.mesh import owners
from polis.proto.registry import SERVICES

POSTGRES, NATS, DATABASE = "postgres:5432", "nats:4222", "polis"
_BROKER = "nats.conf"
_CLOSED, _OPEN, _READ = 0o700, 0o755, 0o444


def write_secrets(folder: Path) -> None:
    """Write what is missing; what is there stays, so that data made with it can still be opened.

    The broker's settings alone are written anew: what services may say and hear is another thing in another release.
    """
    home = Home(folder)
    folder.mkdir(mode=_CLOSED, parents=True, exist_ok=True)
    folder.chmod(_CLOSED)
    values = _values(home)
    for name, text in values.items():
        path = folder / name
        if path.parent != folder:
            path.parent.mkdir(exist_ok=True)
            path.parent.chmod(_OPEN)
        if name == _BROKER or not path.exists():
            home.write(path, text)
        path.chmod(_READ)


def _values(home: Home) -> dict[str, str]:
    """File names and contents; a value that another one is made of is taken from its file if that exists."""
    kept: dict[str, str] = {}

    def secret(name: str) -> str:
        path = home.root / name
        if name not in kept:
            kept[name] = path.read_text(encoding="ascii") if path.exists() else secrets.token_hex(32)
        return kept[name]

    values = {"postgres": secret("postgres"), "mesh": secret("mesh")}
    admin = f"postgresql://postgres:{secret('postgres')}@{POSTGRES}/{DATABASE}"
    values["admin-postgres-url"] = admin
    for role in (MIGRATOR, *(f"app_{name}" for name in owners())):
        values[f"passwords/{role}"] = secret(f"passwords/{role}")
    values["migrator-url"] = _role_url(MIGRATOR, secret(f"passwords/{MIGRATOR}"))
    passwords = {name: secret(f"nats-{name}") for name in (*(s.name for s in SERVICES), ADMIN, SYSTEM)}
    values |= {f"nats-{name}": password for name, password in passwords.items()}
    values["admin-nats-url"] = f"nats://{ADMIN}:{passwords[ADMIN]}@{NATS}"
    broker = Broker(store_dir=Path("/data"), host="0.0.0.0", monitoring_port=8222)  # noqa: S104 - inside its network only
    values[_BROKER] = render_config(broker, users(), passwords)
    for service in SERVICES:
        values[f"credential-{service.name}"] = credential(secret("mesh"), service.name)
        if service.schema:
            role = f"app_{service.name}"
            values[f"postgres-url-{service.name}"] = _role_url(role, secret(f"passwords/{role}"))
    return values


def _role_url(role: str, password: str) -> str:
    return f"postgresql://{role}:{password}@{POSTGRES}/{DATABASE}"
