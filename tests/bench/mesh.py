"""A mesh in a folder of its own, as `make up` starts it, with limits that a load does not reach."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any, Self

import psutil

from polis.local.footprint import footprint
from polis.local.home import Home
from polis.local.ports import free_port

ROOT = Path(__file__).parents[2]
_UP_S, _DOWN_S = 120.0, 30.0
_RATE, _BURST = 1_000_000, 1_000_000_000
_LIMITS = {"PRINCIPAL": _RATE, "ADDRESS": _RATE, "CREDENTIALS": _RATE, "SOCKET": _RATE}
_SOCKETS = {
    "SOCKETS": 20_000,
    "SOCKETS_PER_PRINCIPAL": 20_000,
    "SOCKETS_PER_ADDRESS": 20_000,
    "CONNECTIONS": 20_000,
    "CONNECTIONS_PER_ADDRESS": 20_000,
}


class Mesh:
    """Started and ended by this process; its folder goes with it."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="polis-bench-"))
        self.folder.chmod(0o711)
        self.home = Home(self.folder / "home")
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.token = ""
        self._log = self.folder / "beside.log"
        self._others: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.end_others()
        self.down()
        shutil.rmtree(self.folder, ignore_errors=True)

    # Life

    @property
    def up(self) -> bool:
        return self.home.locked()

    def start(self) -> float:
        """Bring it up; how many seconds until every part was ready."""
        began = time.monotonic()
        done = self._local("up", "--detach", timeout_s=_UP_S)
        if done.returncode:
            raise RuntimeError(f"the mesh does not come up: {done.stdout}{done.stderr}")
        return time.monotonic() - began

    def down(self) -> None:
        if self.up:
            self._local("down", timeout_s=_DOWN_S)

    def _local(self, *arguments: str, timeout_s: float) -> subprocess.CompletedProcess[str]:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("POLIS_")}
        environment |= {"POLIS_HOME": str(self.home.root), "POLIS_PORT": str(self.port)}
        for name, rate in _LIMITS.items():
            environment[f"POLIS_GATEWAY__{name}_RATE"] = str(rate)
            environment[f"POLIS_GATEWAY__{name}_BURST"] = str(_BURST)
        environment |= {f"POLIS_GATEWAY__{name}": str(most) for name, most in _SOCKETS.items()}
        for name in ("POSTS", "CONVERSATION_POSTS"):
            environment[f"POLIS_MESSAGING__{name}_PER_SECOND"] = str(_RATE)
        command = [sys.executable, "-P", "-m", "polis.local", *arguments]
        return subprocess.run(
            command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=timeout_s
        )

    # What it is made of

    @property
    def state(self) -> Any:
        return self.home.state()

    def pss_mb(self) -> float:
        return footprint(self.state.supervisor.pid) / 1e6

    def pss_parts(self) -> dict[str, float]:
        """MB of each part with the processes it started."""
        return {name: footprint(child.pid) / 1e6 for name, child in self.state.children.items()}

    def postgres_url(self, role: str = "postgres", database: str = "polis") -> str:
        password = self.home.secret("postgres" if role == "postgres" else f"postgres-{role}")
        return f"postgresql://{role}:{password}@127.0.0.1:{self.state.postgres_port}/{database}"

    def nats_login(self, user: str) -> dict[str, str]:
        """A process's settings for the broker."""
        return {
            "POLIS_NATS_URL": f"nats://127.0.0.1:{self.state.nats_port}",
            "POLIS_NATS_USER": user,
            "POLIS_NATS_PASSWORD": self.home.secret(f"nats-{user}"),
        }

    def cpu_s(self) -> dict[str, float]:
        """CPU seconds used so far, by part; PostgreSQL's is that of all its processes."""
        return {name: _cpu(child.pid) for name, child in self.state.children.items()}

    # Other processes beside it

    def beside(
        self, *arguments: str, settings: dict[str, str], pipes: bool = False, python: str = sys.executable
    ) -> subprocess.Popen[bytes]:
        """Start a process of the bench, ended with the mesh. pipes: it is talked with."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("POLIS_")} | settings
        with self._log.open("ab") as log:
            other = subprocess.Popen(
                [python, *arguments],
                env=environment,
                cwd=ROOT,
                stdin=subprocess.PIPE if pipes else subprocess.DEVNULL,
                stdout=subprocess.PIPE if pipes else log,
                stderr=log,
            )
        self._others.append(other)
        return other

    def last_words(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")[-1000:]

    def end_others(self) -> None:
        """End what was started beside."""
        while self._others:
            end(self._others.pop())

    def until_answers(self, url: str, process: subprocess.Popen[bytes], *, within_s: float = 20.0) -> None:
        """Wait for the 200 of a server that was started beside."""
        stop = time.monotonic() + within_s
        while process.poll() is None and time.monotonic() < stop:
            try:
                with urllib.request.urlopen(url, timeout=1):
                    return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError(f"nothing answers at {url}: {self.last_words()}")

    # As a client

    def sign_up(self) -> None:
        """Somebody with an org of her own; `token` is hers from now on."""
        person = {"email": "bench@example.org", "password": "a long enough password", "name": "Bench"}
        self.token = self.call("POST", "/sign-up", person)["access_token"]

    def sign_in(self) -> None:
        """The same person, before a token of a quarter of an hour is over."""
        self.token = ""
        person = {"email": "bench@example.org", "password": "a long enough password"}
        self.token = self.call("POST", "/sign-in", person)["access_token"]

    def graph(self, key: str, content: object) -> None:
        """Write, publish and activate a graph."""
        made = self.call("POST", "/resources", {"type": "graph", "key": key, "content": content})
        self.call("POST", f"/resources/{made['id']}/versions", {})
        self.call("PUT", f"/resources/{made['id']}/activations/production", {"number": 1})

    def call(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} | (
            {"Authorization": f"Bearer {self.token}"} if self.token else {}
        )
        request = urllib.request.Request(  # loopback only
            f"{self.address}/api/v1{path}", data, headers, method=method
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"null")


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process that this one started."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _cpu(pid: int) -> float:
    try:
        top = psutil.Process(pid)
        times = [process.cpu_times() for process in (top, *top.children(recursive=True))]
    except psutil.Error:
        return 0.0
    return sum(t.user + t.system for t in times)
