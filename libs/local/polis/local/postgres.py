"""PostgreSQL 18 with pgvector, from the binaries of a wheel; never as root, never with an open door.

The wheel's own manager is not used: it runs without passwords and changes the rights of every parent folder.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from polis.local.children import ends, gone, kill_group, spawn, working_in
from polis.local.home import hold
from polis.local.ports import LOOPBACK, free_port
from polis.local.programs import MAJOR, PostgresFailed, programs

if TYPE_CHECKING:
    from typing import IO

__all__ = ["DATABASE", "MAJOR", "SUPERUSER", "Postgres", "PostgresFailed"]

NOBODY = 65534
SUPERUSER = "postgres"
DATABASE = "polis"
START_S = 30.0
STOP_S = 5.0
_FAST, _IMMEDIATE = signal.SIGINT, signal.SIGQUIT
_ORPHANS_S = 0.5
"""Most processes of a killed server notice at once that it is gone; busy and frozen ones may be killed: it recovers anyway."""
_IMMEDIATE_S = 0.5
_STARTS = 6
_PASSING = ("shared memory block", "lock file")
"""Reasons not to start that pass by themselves: the kernel has not taken back yet what a killed server had."""
_READY_STEP_S = 0.03
_HERE = "/proc/self/cwd"
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
_HBA = f"host all all {LOOPBACK}/32 scram-sha-256\n"
_ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/bin:/bin"}


class Postgres:
    """One server on one data folder. Passwords travel by scram over loopback; there is no other way in.

    Started by root, it runs as the owner of the data, by default nobody, and sees its folder as its working directory
    alone: that user needs no right to pass the folders above.
    """

    def __init__(
        self, data: Path, *, password: str, log: Path, settings: dict[str, str] | None = None
    ) -> None:
        self.data = data.absolute()
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None
        self._user = user_for(self.data)
        self._password = password
        self._log = log
        self._settings = _SETTINGS | (settings or {})
        self._lock: IO[bytes] | None = None

    def url(self, user: str = SUPERUSER, password: str = "", database: str = DATABASE) -> str:
        """Without TLS on loopback, so that no client looks for certificates in somebody's home."""
        login = f"{user}:{password or self._password}"
        return f"postgresql://{login}@{LOOPBACK}:{self.port}/{database}?sslmode=disable"

    async def start(self, port: int = 0) -> None:
        """Start, on a free port unless one is given; waits for processes of an earlier server to be gone."""
        self._hold()
        found = await asyncio.to_thread(programs, self._user)
        if not self.data.exists():
            await asyncio.to_thread(self._initialise, found)
        self._check_version()
        await self._end_earlier()
        for attempt in range(_STARTS):
            self.port = port or free_port()
            if await self._answers(found):
                return
            if not any(reason in self._last_words() for reason in _PASSING):
                break
            await asyncio.sleep(0.1 * 2**attempt)
        self._release()
        raise PostgresFailed(f"PostgreSQL does not start: {self._last_words()}")

    async def stop(self, within_s: float = STOP_S) -> None:
        """A fast shutdown: connections end, everything committed is on the disk. In haste it recovers at the next start."""
        if self.process is not None:
            for number, patience_s in ((_FAST, within_s), (_IMMEDIATE, _IMMEDIATE_S)):
                if self.process.poll() is None:
                    self.process.send_signal(number)
                if await ends(self.process, patience_s):
                    break
            await self._kill_all()
        self._release()

    def kill(self) -> None:
        """End it at once as a crash would; its children notice by themselves. For tests."""
        if self.process is not None:
            kill_group(self.process)
            self.process.wait()

    async def _end_earlier(self) -> None:
        """Nothing may live on the data but what is started now: a server told to end, then what is left of it killed."""
        data = self.data.resolve()
        for number, patience_s in ((_FAST, STOP_S), (_IMMEDIATE, _IMMEDIATE_S)):
            master = [
                p for p in await asyncio.to_thread(working_in, data, "postgres") if p.pid == self._master()
            ]
            if not master:
                break
            master[0].send_signal(number)
            await gone(data, "postgres", patience_s)
        if not await gone(data, "postgres", _ORPHANS_S):
            await self._kill_all()

    async def _kill_all(self) -> None:
        data = self.data.resolve()
        for process in working_in(data, "postgres"):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        if not await gone(data, "postgres", STOP_S):
            raise PostgresFailed(f"processes of an earlier server on {self.data} cannot be ended")

    def _master(self) -> int:
        try:
            return int((self.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()[0])
        except (OSError, ValueError, IndexError):
            return 0

    async def _answers(self, found: Path) -> bool:
        """Start once. False when it ended, as while the kernel still counts an earlier server's memory as used."""
        options = self._settings | {
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            "unix_socket_directories": "",
        }
        command = [str(found / "postgres"), "-D", self._place(self.data)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        with self._log.open("ab") as log:
            self.process = spawn(
                command, env=_ENVIRONMENT, user=self._user, output=log, death_signal=_FAST, cwd=self.data
            )
        end = asyncio.get_running_loop().time() + START_S
        while self.process.poll() is None:
            if await _asks_for_a_password(self.port):
                return True
            if asyncio.get_running_loop().time() > end:
                raise PostgresFailed(f"PostgreSQL was not ready in {START_S:g} s: {self._last_words()}")
            await asyncio.sleep(_READY_STEP_S)
        return False

    def _initialise(self, found: Path) -> None:
        """Make the data beside its place and move it there when it is whole, so that half of it is never taken for it."""
        for half in self.data.parent.glob(f"{self.data.name}.new-*"):
            shutil.rmtree(half)
        new = Path(tempfile.mkdtemp(prefix=f"{self.data.name}.new-", dir=self.data.parent))
        with tempfile.TemporaryFile() as password:
            password.write(self._password.encode())
            password.flush()
            if self._user:
                os.chown(new, *self._user)
                os.fchown(password.fileno(), *self._user)
            made = subprocess.run(  # noqa: S603 - a command of ours
                [
                    *(str(found / "initdb"), "-D", self._place(new), "-U", SUPERUSER),
                    *("--pwfile", f"/dev/fd/{password.fileno()}", "-A", "scram-sha-256", "-E", "UTF8"),
                    *("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=_ENVIRONMENT,
                cwd=new,
                pass_fds=(password.fileno(),),
                check=False,
                timeout=START_S * 2,
                user=self._user[0] if self._user else None,
                group=self._user[1] if self._user else None,
                extra_groups=[] if self._user else None,
            )
        if made.returncode:
            raise PostgresFailed(f"initdb failed: {made.stdout.decode(errors='replace').strip()[-500:]}")
        (new / "pg_hba.conf").write_text(_HBA, encoding="ascii")
        new.rename(self.data)

    def _place(self, folder: Path) -> str:
        """How the server is told of a folder that it is started in."""
        return _HERE if self._user and Path(_HERE).exists() else str(folder)

    def _check_version(self) -> None:
        try:
            version = (self.data / "PG_VERSION").read_text(encoding="ascii").strip()
        except FileNotFoundError:
            raise PostgresFailed(f"{self.data} holds no data of PostgreSQL, and is left as it is") from None
        if version != MAJOR:
            raise PostgresFailed(
                f"the data in {self.data} is of PostgreSQL {version}, and this is {MAJOR}: upgrade it with pg_upgrade"
            )

    def _hold(self) -> None:
        self.data.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._lock is None:
            self._lock = hold(self.data.with_name(self.data.name + ".lock"))
        if self._lock is None:
            raise PostgresFailed(f"another process keeps a server on {self.data}")

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _last_words(self) -> str:
        try:
            return self._log.read_bytes()[-600:].decode(errors="replace").strip()
        except OSError:
            return "it left no log"


async def _asks_for_a_password(port: int) -> bool:
    """Whether a server takes connections there: one that still recovers refuses before it asks."""
    hello = b"\0\3\0\0user\0" + SUPERUSER.encode() + b"\0database\0postgres\0\0"
    try:
        async with asyncio.timeout(1.0):
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
            try:
                writer.write((len(hello) + 4).to_bytes(4, "big") + hello)
                return await reader.read(1) == b"R"
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False


def user_for(data: Path) -> tuple[int, int] | None:
    """Uid and gid to run as; None for this process's own."""
    owner = data.stat().st_uid if data.exists() else None
    if os.geteuid() != 0:
        if owner not in (None, os.geteuid()):
            raise PostgresFailed(f"the data in {data} belongs to {data.owner()}: start as that user")
        return None
    uid = owner or NOBODY
    try:
        return uid, pwd.getpwuid(uid).pw_gid
    except KeyError:
        return uid, uid
