"""`polis`: demo, call, doctor."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.console import Console

app = App(name="polis", help="A client of the mesh, and a hand on the local one.")
_console = Console()


@app.command
def demo(*, address: str = "http://127.0.0.1:8080", mailbox: Annotated[str, Parameter()] = "") -> int:
    """Run the e-mail digest on a mailbox (mbox file or maildir) through the gateway, and show it live."""
    from polis.cli.demo import demo as run

    return asyncio.run(run(address, Path(mailbox).expanduser() if mailbox else None, _console))


@app.command
def doctor() -> int:
    """Say in plain words what keeps the mesh from running here."""
    from polis.cli.doctor import doctor as examine

    return examine(_console)


def main() -> None:
    sys.exit(app())


if __name__ == "__main__":
    main()
