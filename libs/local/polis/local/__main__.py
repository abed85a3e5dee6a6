"""`python -m polis.local up [--detach] | down | status | psql [service] | secrets FOLDER`; the mesh's state is in `.polis/`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from polis.local import commands
from polis.local.board import Board
from polis.local.home import Home
from polis.telemetry import configure


def main() -> int:
    configure("local", level="critical")
    home = Home(Path(os.environ.get("POLIS_HOME", ".polis")))  # noqa: TID251 - the entry of the mesh
    name, *given = sys.argv[1:] or [""]
    match name, given:
        case "up", []:
            return up(home)
        case "up", ["--detach"]:
            return commands.up_detached(home)
        case "down" | "status", []:
            return {"down": commands.down, "status": commands.status}[name](home)
        case "psql", service:
            return commands.psql(home, service)
        case "secrets", [folder]:
            return secrets(Path(folder))
    Board().say(__doc__ or "")
    return 2


def secrets(folder: Path) -> int:
    from polis.local.containers import write_secrets

    write_secrets(folder)
    return 0


def up(home: Home) -> int:
    from polis.local.failures import CannotStart
    from polis.local.supervisor import Supervisor

    try:
        return commands.up(home, Supervisor)
    except CannotStart as error:
        Board().say(f"cannot start: {error}")
        return 2


if __name__ == "__main__":
    sys.exit(main())
