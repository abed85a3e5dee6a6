"""What one can do with the mesh of a folder from outside: bring it up and leave it, end it, look at it."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from polis.local.board import Board
from polis.local.children import end_left_over
from polis.local.footprint import footprint
from polis.local.home import AlreadyRunning

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from polis.local.home import Home, State
    from polis.local.supervisor import Supervisor

DETACHED_S = 90.0
FILES = 65_536
_DOWN_S = 12.0
_LEFT_OVER_S = 5.0
_STEP_S = 0.05
_UP = (sys.executable, "-P", "-m", "polis.local", "up")


def up(home: Home, supervisor: Callable[[Home, Board], Supervisor]) -> int:
    """Run the mesh in the foreground until Ctrl-C, SIGTERM or the end of the terminal."""
    try:
        home.make()
        home.lock()
    except AlreadyRunning:
        state = home.state()
        where = f" at {state.address}, process {state.supervisor.pid}" if state is not None else ""
        Board().say(f"a mesh is running from this folder already{where}; `make down` ends it")
        return 1
    except OSError as error:
        Board().say(f"cannot start: {home.root}: {error.strerror}; `make doctor` tells more")
        return 1

    _allow_files()

    async def run() -> int:
        with Board() as board:
            mesh = supervisor(home, board)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                asyncio.get_running_loop().add_signal_handler(number, mesh.stopping.set)
            return await mesh.run()

    return asyncio.run(run())


def _allow_files() -> None:
    """A socket is a file: the usual thousand a process would be the gateway's bound long before its own."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if most == resource.RLIM_INFINITY else min(FILES, most)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def up_detached(home: Home, command: Sequence[str] = _UP) -> int:
    """Bring the mesh up and leave it running; nothing to do when it is up."""
    started = None
    try:
        home.make()
        if not home.locked():
            with home.log("supervisor").open("ab") as log:
                started = subprocess.Popen(  # noqa: S603 - a command of ours
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
    except OSError as error:
        Board().say(f"cannot start: {home.root}: {error.strerror}; `make doctor` tells more")
        return 1
    with Board() as board:
        failure = _follow(home, board, started)
        state = home.state()
    if failure or state is None:
        board.say(f"the mesh is not ready: {failure}")
        board.say(f"logs are in {home.logs}; `make down` ends what runs")
        return 1
    board.say(f"the mesh is up at {state.address}")
    return 0


def _follow(home: Home, board: Board, started: subprocess.Popen[bytes] | None) -> str:
    """Show what the supervisor records until it is ready; why it will not be, or nothing."""
    end = time.monotonic() + DETACHED_S
    while time.monotonic() < end:
        over = started is not None and started.poll() is not None and not home.locked()
        state = home.state()
        if state is not None and state.supervisor.alive():
            for part, (name, detail) in state.parts.items():
                board.show(part, name, detail)
            if state.ready or state.failure:
                return "" if state.ready else state.failure
        if over and started is not None:
            told = state.failure if state is not None and state.supervisor.pid == started.pid else ""
            return told or _last_words(home)
        time.sleep(_STEP_S)
    return f"it takes longer than {DETACHED_S:g} s"


def _last_words(home: Home) -> str:
    with suppress(OSError):
        return home.log("supervisor").read_text(encoding="utf-8", errors="replace").strip()[-400:]
    return "it did not say why"


def down(home: Home) -> int:
    """End the mesh that runs from this folder, and whatever a killed supervisor has left of it."""
    board, state = Board(), home.state()
    left = [child for child in state.children.values() if child.alive()] if state is not None else []
    if state is None or not (home.locked() or left):
        board.say("the mesh is not running")
        return 0
    for number in (signal.SIGTERM, signal.SIGKILL):
        if state.supervisor.alive():
            os.kill(state.supervisor.pid, number)
        if _has_ended(home, state):
            break
    else:
        board.say(f"the mesh does not end; its process is {state.supervisor.pid}")
        return 1
    asyncio.run(_end_all(state))
    board.say("the mesh is down")
    return 0


def _has_ended(home: Home, state: State) -> bool:
    end = time.monotonic() + _DOWN_S
    while (running := home.locked() or state.supervisor.alive()) and time.monotonic() < end:
        time.sleep(_STEP_S)
    return not running


async def _end_all(state: State) -> None:
    """PostgreSQL by the signal that ends it fast; nothing here is alive unless the supervisor was killed."""
    await asyncio.gather(
        *(
            end_left_over(
                child, signal.SIGINT if name == "postgresql" else signal.SIGTERM, within_s=_LEFT_OVER_S
            )
            for name, child in state.children.items()
        )
    )


def status(home: Home) -> int:
    """Say what runs; 0 when every part is ready."""
    board, state = Board(), home.state()
    if state is None or not home.locked():
        board.say("the mesh is not running")
        return 1
    for name, (how, detail) in state.parts.items():
        child = state.children.get(name)
        board.show(name, how, f"{detail}, process {child.pid}" if child and child.alive() else detail)
    memory = footprint(state.supervisor.pid) / 1e6
    board.say(f"{'up' if state.ready else 'not ready'} at {state.address}, {memory:.0f} MB of memory")
    return 0 if state.ready and all(how == "ready" for how, _ in state.parts.values()) else 1


def psql(home: Home, service: list[str]) -> int:
    """A shell on the embedded database: as its superuser, or as a service's own role."""
    from polis.local.postgres import DATABASE, SUPERUSER
    from polis.local.programs import programs

    state = home.state()
    if state is None or not state.postgres_port:
        Board().say("the embedded PostgreSQL is not running; `make up` starts it")
        return 1
    role = f"app_{service[0]}" if service else SUPERUSER
    secret = f"postgres-{role}" if service else "postgres"
    environment = dict(os.environ) | {"PGPASSWORD": home.secret(secret)}  # noqa: TID251 - handed on
    place = ["-h", "127.0.0.1", "-p", str(state.postgres_port), "-U", role, DATABASE]
    return subprocess.run([str(programs(None) / "psql"), *place], check=False, env=environment).returncode  # noqa: S603
