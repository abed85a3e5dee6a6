"""`.polis/`: data, generated secrets, logs and the record of what runs. Readable by its owner only."""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import secrets
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from polis.local.children import ProcessId

if TYPE_CHECKING:
    from typing import IO

_DIRECTORY, _FILE = 0o700, 0o600


class State(Struct):
    """What runs, for `down`, `status` and the next `up`. `ready`: whether every part answered once."""

    supervisor: ProcessId
    address: str
    postgres_port: int = 0
    nats_port: int = 0
    ports: dict[str, int] = {}
    children: dict[str, ProcessId] = {}
    ready: bool = False
    failure: str = ""


class AlreadyRunning(Exception):
    """Another supervisor holds this folder."""


class Home:
    """The folder of one mesh."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self._lock: IO[bytes] | None = None

    def make(self) -> None:
        """Create what is missing. Root keeps it closed but passable, since PostgreSQL runs as another user inside."""
        self.root.mkdir(mode=_DIRECTORY, exist_ok=True)
        self.root.chmod(0o711 if os.geteuid() == 0 else _DIRECTORY)
        for folder in (self.secrets, self.logs):
            folder.mkdir(mode=_DIRECTORY, exist_ok=True)
            folder.chmod(_DIRECTORY)

    @property
    def secrets(self) -> Path:
        return self.root / "secrets"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def administrator_link(self) -> Path:
        return self.root / "administrator-link"

    def lock(self) -> None:
        """Hold the folder until this process ends. AlreadyRunning when another one does."""
        self._lock = (self.root / "lock").open("ab")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise AlreadyRunning from None

    def locked(self) -> bool:
        """Whether a supervisor runs on this folder."""
        if not (self.root / "lock").exists():
            return False
        with (self.root / "lock").open("ab") as probe:
            try:
                fcntl.flock(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def secret(self, name: str) -> str:
        """A generated secret, the same at every start."""
        path = self.secrets / name
        if not path.exists():
            self.write(path, secrets.token_hex(32))
        return path.read_text(encoding="ascii")

    def credential(self, service: str) -> str:
        """A service's client secret; identity knows it by the mesh secret."""
        return hmac.new(self.secret("mesh").encode(), service.encode(), hashlib.sha256).hexdigest()

    def write(self, path: Path, text: str) -> None:
        """Write a file that only its owner can read, whole or not at all."""
        beside = path.with_name(path.name + ".new")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _FILE)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        beside.replace(path)

    def save(self, state: State) -> None:
        self.write(self.root / "state.json", msgspec.json.format(msgspec.json.encode(state)).decode())

    def state(self) -> State | None:
        """The last record; None without one that can be read."""
        try:
            return msgspec.json.decode((self.root / "state.json").read_bytes(), type=State)
        except (OSError, msgspec.DecodeError):
            return None


def free_port(host: str = "127.0.0.1") -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def port_free(port: int, host: str = "127.0.0.1") -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
