"""`polis doctor`: what keeps the mesh from running here, in plain words."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msgspec import Struct

from polis.local.home import Home
from polis.local.nats import NatsFailed, binary
from polis.local.ports import holder, port_free
from polis.local.programs import MAJOR
from polis.proto.registry import SERVICES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.console import Console

NEEDED_BYTES = 2 * 1024**3
_CONNECT_S = 2.0


class Finding(Struct, frozen=True):
    """One thing that was looked at. `remedy` is empty when it is as it should be."""

    what: str
    remedy: str = ""


def doctor(console: Console, home: Home, environment: Mapping[str, str]) -> int:
    """Print what was found; 1 when something keeps the mesh from running."""
    findings = list(examine(home, environment))
    for finding in findings:
        mark = "[red]✗[/red]" if finding.remedy else "[green]✓[/green]"
        console.print(f"{mark} {finding.what}", highlight=False)
        if finding.remedy:
            console.print(f"    {finding.remedy}", highlight=False)
    return 1 if any(finding.remedy for finding in findings) else 0


def examine(home: Home, environment: Mapping[str, str]) -> Iterator[Finding]:
    """Everything that is looked at, cheapest first."""
    yield _python()
    yield _platform()
    yield _rights(home)
    yield _disk(home)
    yield _data(home)
    running = home.root.exists() and home.locked()
    if running:
        state = home.state()
        yield Finding(f"a mesh runs from {home.root}" + (f" at {state.address}" if state else ""))
    else:
        yield from _ports(environment)
    yield from _servers(environment)


def _python() -> Finding:
    version = platform.python_version()
    if sys.version_info < (3, 11):  # noqa: UP036 - whoever runs this may have another one
        return Finding(
            f"Python {version}", "Python 3.11 or later is needed; PYTHON=/path/to/python names one"
        )
    return Finding(f"Python {version}")


def _platform() -> Finding:
    libc, version = platform.libc_ver()
    what = f"{platform.system()} {platform.machine()}, {libc or 'another libc'} {version}".rstrip()
    if platform.system() == "Linux" and libc != "glibc":
        return Finding(
            what, "the embedded PostgreSQL needs glibc 2.28; point POLIS_POSTGRES_URL at a server of yours"
        )
    try:
        binary()
    except NatsFailed as failure:
        return Finding(what, f"{failure}; point POLIS_NATS_URL at a server of yours")
    return Finding(what)


def _rights(home: Home) -> Finding:
    folder = home.root if home.root.exists() else home.root.parent
    what = f"{folder} can be written"
    if not os.access(folder, os.W_OK | os.X_OK):
        return Finding(what, f"it cannot: it belongs to {folder.owner()}; POLIS_HOME names another folder")
    return Finding(what)


def _disk(home: Home) -> Finding:
    folder = home.root if home.root.exists() else home.root.parent
    free = shutil.disk_usage(folder).free
    what = f"{free / 1024**3:.1f} GiB free at {folder}"
    return Finding(
        what, "" if free > NEEDED_BYTES else "the disk is nearly full; the mesh needs 2 GiB to work in"
    )


def _data(home: Home) -> Finding:
    version_file = home.root / "postgres" / "PG_VERSION"
    try:
        version = version_file.read_text(encoding="ascii").strip()
    except PermissionError:
        return Finding(
            "the data in postgres/", f"only another user can read {version_file.parent}; start as that user"
        )
    except OSError:
        return Finding("no data yet, or data kept elsewhere")
    if version != MAJOR:
        return Finding(
            f"data of PostgreSQL {version}", f"this release runs {MAJOR}: upgrade the data with pg_upgrade"
        )
    return Finding(f"data of PostgreSQL {version}")


def _ports(environment: Mapping[str, str]) -> Iterator[Finding]:
    for service in SERVICES:
        port = int(environment.get("POLIS_PORT", service.port)) if service.name == "gateway" else service.port
        if port_free(port):
            yield Finding(f"port {port} is free for {service.name}")
        elif service.name == "gateway":
            yield Finding(
                f"port {port}, of {service.name}",
                f"it is taken by {holder(port)}; POLIS_PORT chooses another one",
            )
        else:
            yield Finding(
                f"port {port}, of {service.name}, is taken by {holder(port)}; a free one will be used"
            )


def _servers(environment: Mapping[str, str]) -> Iterator[Finding]:
    for name, default in (("POLIS_POSTGRES_URL", 5432), ("POLIS_NATS_URL", 4222)):
        url = environment.get(name)
        if not url:
            continue
        parts = urlsplit(url.partition(",")[0])
        place = f"{parts.hostname}:{parts.port or default}"
        try:
            socket.create_connection((parts.hostname or "", parts.port or default), _CONNECT_S).close()
        except OSError as error:
            yield Finding(f"{name} names {place}", f"nothing answers there: {error.strerror or error}")
        else:
            yield Finding(f"{name} names {place}, which answers")


def own_folder(environment: Mapping[str, str]) -> Home:
    return Home(Path(environment.get("POLIS_HOME", ".polis")))
