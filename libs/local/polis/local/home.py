"""`.polis/`: data, generated secrets, logs and the record of what runs. Readable by its owner only."""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from polis.local.children import ProcessId

if TYPE_CHECKING:
    from typing import IO

_DIRECTORY, _FILE = 0o700, 0o600
_PROBED_S, _STEP_S = 0.3, 0.01
"""Whoever asks whether the lock is held, holds it for a moment."""


class State(Struct):
    """What runs, for `down`, `status` and the next `up`.

    parts: state and detail of each, as shown. ready: every part answers; `failure` says why not, once that is known.
    """

    supervisor: ProcessId
    address: str
    postgres_port: int = 0
    nats_port: int = 0
    ports: dict[str, int] = {}
    children: dict[str, ProcessId] = {}
    parts: dict[str, tuple[str, str]] = {}
    ready: bool = False
    ready_after_s: float = 0.0
    failure: str = ""


class AlreadyRunning(Exception):
    """Another supervisor holds this folder."""


class Home:
    """The folder of one mesh."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self._lock: IO[bytes] | None = None

    def make(self) -> None:
        """Create what is missing and close it to everybody else."""
        for folder in (self.root, self.secrets, self.logs):
            folder.mkdir(mode=_DIRECTORY, exist_ok=True)
            folder.chmod(_DIRECTORY)

    @property
    def secrets(self) -> Path:
        return self.root / "secrets"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    def log(self, part: str) -> Path:
        return self.logs / f"{part}.log"

    @property
    def administrator_link(self) -> Path:
        return self.root / "administrator-link"

    def lock(self) -> None:
        """Hold the folder until this process ends. AlreadyRunning when another one does."""
        end = time.monotonic() + _PROBED_S
        while self._lock is None:
            self._lock = hold(self.root / "lock")
            if self._lock is None and time.monotonic() > end:
                raise AlreadyRunning
            time.sleep(_STEP_S if self._lock is None else 0)

    def release(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def locked(self) -> bool:
        """Whether a supervisor runs on this folder."""
        if not (self.root / "lock").exists():
            return False
        probe = hold(self.root / "lock")
        if probe is not None:
            probe.close()
        return probe is None

    def secret(self, name: str) -> str:
        """A generated secret, the same at every start."""
        path = self.secrets / name
        if not path.exists():
            self.write(path, secrets.token_hex(32), durable=True)
        return path.read_text(encoding="ascii")

    def credential(self, service: str) -> str:
        """A service's client secret; identity knows it by the mesh secret."""
        return credential(self.secret("mesh"), service)

    def write(self, path: Path, text: str, *, durable: bool = False) -> None:
        """Write a file that only its owner can read, whole or not at all."""
        beside = path.with_name(path.name + ".new")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _FILE)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            if durable:
                file.flush()
                os.fsync(descriptor)
        beside.replace(path)

    def save(self, state: State) -> None:
        self.write(self.root / "state.json", msgspec.json.format(msgspec.json.encode(state)).decode())

    def state(self) -> State | None:
        """The last record; None without one that can be read."""
        try:
            return msgspec.json.decode((self.root / "state.json").read_bytes(), type=State)
        except (OSError, msgspec.MsgspecError):
            return None


def credential(mesh_secret: str, service: str) -> str:
    return hmac.new(mesh_secret.encode(), service.encode(), hashlib.sha256).hexdigest()


def hold(path: Path) -> IO[bytes] | None:
    """The lock of a file, held until it is closed; None when another process has it."""
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file
