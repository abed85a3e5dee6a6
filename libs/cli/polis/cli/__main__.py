"""`polis`: demo, call, doctor."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from cyclopts import App
from rich.console import Console

from polis.cli.doctor import own_folder

app = App(name="polis", help="A client of the mesh, and a hand on the local one.")
_console = Console()
_environment = os.environ  # noqa: TID251 - the entry of the command


@app.command
def demo(mailbox: str, *, address: str = "") -> int:
    """Run the e-mail digest on a mailbox (mbox file or maildir) through the gateway, and show it live.

    Without an address, the local mesh's gateway is used.
    """
    from polis.cli.demo import demo as run

    state = own_folder(_environment).state()
    where = address or (state.address if state is not None else "http://127.0.0.1:8080")
    return asyncio.run(run(where, Path(mailbox).expanduser(), _console))


@app.command
def call(operation: str, *, body: str = "{}", token: str = "") -> int:
    """Call an operation (`catalog.get_resource`) over the local mesh's bus and print the answer or the problem."""
    from polis.cli.mesh_call import call as run

    given = token or _environment.get("TOKEN", "")
    return asyncio.run(run(own_folder(_environment), operation, body, given))


@app.command
def doctor() -> int:
    """Say in plain words what keeps the mesh from running here."""
    from polis.cli.doctor import doctor as examine

    return examine(_console, own_folder(_environment), _environment)


def main() -> None:
    sys.exit(app())


if __name__ == "__main__":
    main()
