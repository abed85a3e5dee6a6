"""`stand_in_mesh.py up | detach NAME=MODE ...`: a mesh whose services are stand-ins, on real servers."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from polis.local import commands
from polis.local.failures import CannotStart
from polis.local.home import Home
from polis.local.ports import free_port
from polis.local.supervisor import Supervisor
from polis.proto.registry import ServiceEntry
from polis.telemetry import configure

HERE = Path(__file__).parent
action, *given = sys.argv[1:]
modes = dict(part.split("=") for part in given)


def command(service):
    if modes[service.name] == "missing":
        return [sys.executable, "-m", "polis.nowhere"]
    return [sys.executable, str(HERE / "stand_in.py"), modes[service.name]]


def supervisor(home, board):
    services = [ServiceEntry(name, free_port(), schema=False) for name in modes]
    return Supervisor(home, board, services, command)


configure("local", level="critical")
home = Home(Path(os.environ["POLIS_HOME"]))
if action == "detach":
    sys.exit(commands.up_detached(home, [sys.executable, __file__, "up", *given]))
try:
    sys.exit(commands.up(home, supervisor))
except CannotStart as error:
    sys.exit(f"cannot start: {error}")
