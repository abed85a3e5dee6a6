"""`python -m polis.local up [--detach] | down | status | psql [service]`: the mesh of this folder, its state in `.polis/`."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from polis.local.board import Board
from polis.local.home import AlreadyRunning, Home
from polis.telemetry import configure

_DETACHED_S = 90.0
_DOWN_S = 20.0


def main() -> int:
    configure("local", level="critical")
    home = Home(Path(os.environ.get("POLIS_HOME", ".polis")))  # noqa: TID251 - the entry of the mesh
    match sys.argv[1:]:
        case ["up"]:
            return up(home)
        case ["up", "--detach"]:
            return up_detached(home)
        case ["down"]:
            return down(home)
        case ["status"]:
            return status(home)
        case ["psql", *service]:
            return psql(home, service)
    print(__doc__)  # noqa: T201 - a person asked
    return 2


def up(home: Home) -> int:
    """Run the mesh in the foreground until Ctrl-C or SIGTERM."""
    from polis.local.supervisor import Supervisor

    home.make()
    try:
        home.lock()
    except AlreadyRunning:
        return _already(home)

    async def run() -> int:
        with Board() as board:
            supervisor = Supervisor(home, board)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                asyncio.get_running_loop().add_signal_handler(number, supervisor.stopping.set)
            return await supervisor.run()

    try:
        return asyncio.run(run())
    except ValueError as error:
        Board().say(f"cannot start: {error}")
        return 2


def up_detached(home: Home) -> int:
    """Bring the mesh up and leave it running; nothing to do when it is up."""
    home.make()
    if not home.locked():
        log = (home.logs / "supervisor.log").open("ab")
        subprocess.Popen(
            [sys.executable, "-m", "polis.local", "up"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return _wait_until_ready(home)


def _wait_until_ready(home: Home) -> int:
    board, end, failure = Board(), time.monotonic() + _DETACHED_S, "it did not say why"
    appeared = False
    while time.monotonic() < end:
        state = home.state()
        running = home.locked()
        appeared = appeared or running
        if running and state is not None and state.ready and state.supervisor.alive():
            board.say(f"the mesh is up at {state.address}")
            return 0
        if appeared and not running:
            failure = state.failure if state is not None and state.failure else failure
            break
        time.sleep(0.1)
    else:
        failure = f"not ready in {_DETACHED_S:g} s"
    board.say(f"the mesh did not start: {failure}; see {home.logs / 'supervisor.log'}")
    return 1


def down(home: Home) -> int:
    """End the mesh that runs from this folder."""
    board, state = Board(), home.state()
    if not home.locked() or state is None:
        board.say("the mesh is not running")
        return 0
    if state.supervisor.alive():
        os.kill(state.supervisor.pid, signal.SIGTERM)
    end = time.monotonic() + _DOWN_S
    while home.locked() and time.monotonic() < end:
        time.sleep(0.05)
    if home.locked():
        board.say(f"it has not ended after {_DOWN_S:g} s; its process is {state.supervisor.pid}")
        return 1
    board.say("the mesh is down")
    return 0


def status(home: Home) -> int:
    board, state = Board(), home.state()
    if state is None or not home.locked():
        board.say("the mesh is not running")
        return 1
    board.say(f"{'up' if state.ready else 'starting'} at {state.address}")
    for name, child in state.children.items():
        board.show(
            name,
            "running" if child.alive() else "ended",
            f"pid {child.pid}, port {state.ports.get(name, '')}",
        )
    return 0


def psql(home: Home, service: list[str]) -> int:
    """A shell on the embedded database: as its superuser, or as a service's own role."""
    from polis.local.postgres import DATABASE, SUPERUSER, shell

    state = home.state()
    if state is None or not state.postgres_port:
        Board().say("the embedded PostgreSQL is not running; `make up` starts it")
        return 1
    role = f"app_{service[0]}" if service else SUPERUSER
    secret = f"postgres-{role}" if service else "postgres"
    environment = dict(os.environ) | {"PGPASSWORD": home.secret(secret)}  # noqa: TID251 - handed on
    place = ["-h", "127.0.0.1", "-p", str(state.postgres_port), "-U", role, DATABASE]
    return subprocess.run([str(shell()), *place], check=False, env=environment).returncode  # noqa: S603 - our own binary


def _already(home: Home) -> int:
    state = home.state()
    where = f" at {state.address}, process {state.supervisor.pid}" if state is not None else ""
    Board().say(f"a mesh is running from this folder already{where}; `make down` ends it")
    return 1


if __name__ == "__main__":
    sys.exit(main())
