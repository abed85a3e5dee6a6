"""Meshes of stand-in services, each in a folder of its own whose name needs quoting; whatever they start is ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from polis.local.home import Home
from polis.testing.places import quick_folder

MESH = Path(__file__).parent / "stand_in_mesh.py"


class Mesh:
    """A supervisor as a process of its own."""

    def __init__(self, folder: Path, *prefix: str, command: list[str] | None = None) -> None:
        self.home = Home(folder / "a spaced, wörldly folder")
        self.output = folder / "output"
        self.prefix = prefix
        self.command = command or [sys.executable, str(MESH)]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *services: str, action: str = "up", **environment: str) -> subprocess.Popen[bytes]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("POLIS_")}
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [*self.prefix, *self.command, action, *services],
                env=clean | {"POLIS_HOME": str(self.home.root), "COLUMNS": "200"} | environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        return self.process

    def says(self, text: str, *, within_s: float = 80) -> str:
        """What it has said, once that is in it."""
        end = time.monotonic() + within_s
        while text not in self.said:
            assert time.monotonic() < end, f"{text!r} is not in:\n{self.said}"
            time.sleep(0.02)
        return self.said

    @property
    def said(self) -> str:
        return self.output.read_text() if self.output.exists() else ""

    def stop(self, number: int = signal.SIGTERM) -> float:
        """Seconds until it had ended."""
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(60)
        return time.monotonic() - began

    @property
    def left(self) -> list[psutil.Process]:
        """Processes that its last record names, or that work in its folder."""
        named = {child.pid for child in self.home.state().children.values() if child.alive()}
        return [p for p in psutil.process_iter() if p.pid in named or _works_in(p, self.home.root)]


def _works_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return Path(process.cwd()).is_relative_to(folder)
    except (psutil.Error, OSError):
        return False


@pytest.fixture
def open_folder():
    """A folder that every user may enter; pytest's own are closed."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


@pytest.fixture
def folder():
    with quick_folder("polis-home-") as folder:
        yield folder


@pytest.fixture
def make_mesh(folder):
    made = []

    def make(folder=folder, *prefix, **more):
        made.append(Mesh(folder, *prefix, **more))
        return made[-1]

    yield make
    for mesh in made:
        if mesh.process is not None and mesh.process.poll() is None:
            mesh.stop(signal.SIGKILL)
        for process in mesh.left if mesh.home.state() else []:
            with suppress(psutil.NoSuchProcess):  # it was about to end
                process.kill()


@pytest.fixture
def mesh(make_mesh):
    return make_mesh()
