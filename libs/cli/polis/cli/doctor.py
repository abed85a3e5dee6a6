"""`polis doctor`: what keeps the mesh from running here, in plain words."""

from __future__ import annotations

import asyncio
import fcntl
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from rich.text import Text

from polis.local import mesh
from polis.local.failures import CannotStart, in_words
from polis.local.home import Home
from polis.local.nats import NatsFailed, binary
from polis.local.ports import LOOPBACK, holder, port_free
from polis.local.postgres import user_for
from polis.local.programs import MAJOR, PostgresFailed, programs
from polis.local.theirs import nats_faults, place_of, postgres_faults
from polis.proto.registry import SERVICES
from polis.telemetry import configure

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.console import Console

NEEDED_BYTES = 2 * 1024**3
NEEDED_INODES = 20_000
_OLDEST_GLIBC = (2, 28)
_RUN_S = 20.0


class Finding(Struct, frozen=True):
    """One thing that was looked at. `remedy` is empty when it is as it should be."""

    what: str
    remedy: str = ""


def doctor(console: Console, home: Home, environment: Mapping[str, str]) -> int:
    """Print what was found; 1 when something keeps the mesh from running."""
    configure("doctor", level="critical")
    sound = True
    for finding in examine(home, environment):
        sound = sound and not finding.remedy
        mark = Text("✗ ", style="red") if finding.remedy else Text("✓ ", style="green")
        console.print(mark + Text(finding.what), soft_wrap=True)
        if finding.remedy:
            console.print(Text(f"    {finding.remedy}"), soft_wrap=True)
    return 0 if sound else 1


def examine(home: Home, environment: Mapping[str, str]) -> Iterator[Finding]:
    """Everything that is looked at, one after the other."""
    yield _python()
    try:
        settings = mesh.own_settings(environment)
    except CannotStart as error:
        yield Finding("the settings", str(error))
        return
    postgres_url, nats_url = settings.get("POLIS_POSTGRES_URL"), settings.get("POLIS_NATS_URL")
    yield _rights(home)
    yield _disk(home)
    yield _their_postgres(postgres_url) if postgres_url else _our_postgres(home)
    yield _their_nats(nats_url) if nats_url else _our_nats()
    if home.root.exists() and os.access(home.root, os.X_OK) and home.locked():
        yield from _running(home)
    else:
        yield from _left_over(home)
        yield from _ports(settings)


def _python() -> Finding:
    version = platform.python_version()
    if sys.version_info < (3, 11):  # noqa: UP036 - whoever runs this may have another one
        return Finding(
            f"Python {version}", "Python 3.11 or later is needed; PYTHON=/path/to/python names one"
        )
    return Finding(f"Python {version}")


def _rights(home: Home) -> Finding:
    """Whether the folder can be written, closed to others and locked: what some shared and foreign disks cannot do."""
    folder = _nearest(home.root)
    what = f"the folder {home.root}"
    if not os.access(folder, os.W_OK | os.X_OK):
        return Finding(
            what, f"{folder} belongs to {folder.owner()}: start as that user, or name another in POLIS_HOME"
        )
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".polis-doctor-") as probe:
            if Path(probe).stat().st_mode & 0o077:
                return Finding(
                    what,
                    "files cannot be closed to other users on this disk; POLIS_HOME names another folder",
                )
            with (Path(probe) / "lock").open("wb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return Finding(
            what, f"it cannot be written or locked: {in_words(error)}; POLIS_HOME names another folder"
        )
    return Finding(what)


def _disk(home: Home) -> Finding:
    folder = _nearest(home.root)
    free = shutil.disk_usage(folder).free
    inodes = os.statvfs(folder)
    what = f"{free / 1024**3:.1f} GiB free at {folder}"
    if free < NEEDED_BYTES:
        return Finding(
            what, f"the disk is nearly full; the mesh needs {NEEDED_BYTES // 1024**3} GiB to work in"
        )
    if inodes.f_files and inodes.f_favail < NEEDED_INODES:
        return Finding(what, f"the disk takes only {inodes.f_favail} more files")
    return Finding(what)


def _our_postgres(home: Home) -> Finding:
    """The wheel's programs on this system, for the user that they run as, and the data that lies here."""
    what = f"PostgreSQL {MAJOR} on {platform.system()} {platform.machine()}"
    libc, version = platform.libc_ver()
    if platform.system() == "Linux" and (libc != "glibc" or _numbers(version) < _OLDEST_GLIBC):
        failure = f"its programs need glibc 2.28 or later, and this is {libc or 'another libc'} {version}"
    else:
        failure = _programs_fail(home.root / "postgres")
    if failure:
        return Finding(what, f"{failure}; or point POLIS_POSTGRES_URL at a server of yours")
    return Finding(what, _data_fails(home.root / "postgres"))


def _programs_fail(data: Path) -> str:
    try:
        return _fails(programs(user_for(data)) / "postgres")
    except (PostgresFailed, OSError) as error:
        return in_words(error)


def _data_fails(data: Path) -> str:
    try:
        found = (data / "PG_VERSION").read_text(encoding="ascii").strip()
    except PermissionError:
        return f"only another user can read the data in {data}; start as that user"
    except OSError:
        return f"{data} holds no data of PostgreSQL; move it away" if data.exists() else ""
    return (
        "" if found == MAJOR else f"the data in {data} is of PostgreSQL {found}: upgrade it with pg_upgrade"
    )


def _our_nats() -> Finding:
    what, own = "nats-server", "or point POLIS_NATS_URL at a server of yours"
    try:
        program = binary()
    except NatsFailed as error:
        return Finding(what, f"{error}: `make up` installs it, {own}")
    failure = _fails(program)
    return Finding(what, f"it does not run: {failure}; {own}" if failure else "")


def _their_postgres(url: str) -> Finding:
    return Finding(f"PostgreSQL at {place_of(url)}", "; ".join(asyncio.run(postgres_faults(url))))


def _their_nats(url: str) -> Finding:
    return Finding(f"NATS at {place_of(url)}", "; ".join(asyncio.run(nats_faults(url))))


def _running(home: Home) -> Iterator[Finding]:
    state = home.state()
    if state is None or not state.supervisor.alive():
        yield Finding(
            f"{home.root} is in use", "but its record names nobody; end the process that holds its lock"
        )
        return
    yield Finding(f"a mesh runs from {home.root} at {state.address}")
    for part, (how, detail) in state.parts.items():
        if how != "ready":
            yield Finding(f"{part} is {how}", detail or f"it is not ready yet; its log is {home.log(part)}")


def _left_over(home: Home) -> Iterator[Finding]:
    """A lock file without a holder means nothing; processes without a supervisor do."""
    state = home.state()
    left = [str(child.pid) for child in state.children.values() if child.alive()] if state else []
    if left:
        yield Finding(
            "a mesh whose supervisor is gone",
            f"its processes {', '.join(left)} still run; `make up` takes over, `make down` ends them",
        )
    else:
        yield Finding(f"no mesh runs from {home.root}")


def _ports(settings: Mapping[str, str]) -> Iterator[Finding]:
    for service in SERVICES:
        front = service.name == mesh.GATEWAY
        port = int(settings.get("POLIS_PORT", service.port)) if front else service.port
        host = settings.get("POLIS_HOST", LOOPBACK) if front else LOOPBACK
        what = f"port {port} for {service.name}"
        try:
            free = port_free(port, host)
        except OSError as error:
            yield Finding(what, f"{host}:{port} cannot be listened on: {error.strerror}")
            continue
        if free:
            yield Finding(f"{what} is free")
        elif front:
            yield Finding(what, f"it is taken by {holder(port)}; POLIS_PORT=<number> chooses another one")
        else:
            yield Finding(f"{what} is taken by {holder(port)}; a free one will be used")


def _fails(program: Path) -> str:
    """Why a program does not run here; empty when it does."""
    try:
        ran = subprocess.run([str(program), "--version"], capture_output=True, check=False, timeout=_RUN_S)  # noqa: S603 - a program of ours
    except (OSError, subprocess.TimeoutExpired) as error:
        return in_words(error)
    return ran.stderr.decode(errors="replace").strip()[-200:] if ran.returncode else ""


def _nearest(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    while not folder.exists():
        folder = folder.parent
    return folder


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())


def own_folder(environment: Mapping[str, str]) -> Home:
    return Home(Path(environment.get("POLIS_HOME", ".polis")))
