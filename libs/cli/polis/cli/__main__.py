"""`polis`: demo, chat, run, runs, timeline, asks, answer, export, import, sign, verify, audit, call, doctor."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated

import aiohttp
from cyclopts import App, Parameter
from rich.console import Console

from polis.cli.api import Api, Problem
from polis.cli.doctor import own_folder

app = App(name="polis", help="A client of the mesh, and a hand on the local one.")
_console = Console()
INTERRUPTED = 130
"""Exit code of a command that was stopped by Ctrl-C, as shells have it."""
_environment = os.environ  # noqa: TID251 - the entry of the command


audit = App(name="audit", help="The org's audit log.")
app.command(audit)


@audit.command
def verify(*, noted: str = "", address: str = "", token: str = "") -> int:
    """Say whether the org's audit log is as it was written, or which record is the first that is not.

    noted: `<number>:<hash>` of an earlier run; it finds a log that was cut and begun anew.
    The token is that of a session or an API key; without one, the variable TOKEN is taken.
    """
    from polis.cli.audit import verify as run

    async def work() -> int:
        async with Api(_gateway(address), _token(token)) as api:
            return await run(api, noted, _console)

    return asyncio.run(work())


@app.command
def asks(*, state: str = "open", address: str = "", token: str = "") -> int:
    """List what waits for my answer; `--state answered` (or `expired`, `withdrawn`) what once did.

    The token is that of a session or an API key; without one, the variable TOKEN is taken.
    """
    from polis.cli.asks import inbox

    async def work() -> int:
        async with Api(_gateway(address), _token(token)) as api:
            return await inbox(api, state, _console)

    return asyncio.run(work())


@app.command
def answer(
    ask: str, decision: str = "", *, value: str = "", note: str = "", address: str = "", token: str = ""
) -> int:
    """Answer an ask: `approve`, `deny`, `submit`, the key of a choice. Without a decision, show what is asked.

    value: the values of a form, or edited arguments, as JSON.
    """
    from polis.cli.asks import Said
    from polis.cli.asks import answer as run

    async def work() -> int:
        async with Api(_gateway(address), _token(token)) as api:
            return await run(api, ask, Said(decision, value, note), _console)

    return asyncio.run(work())


@app.command
def chat(
    agent: str,
    *words: str,
    install: bool = False,
    setting: dict[str, str] | None = None,
    address: str = "",
    token: str = "",
) -> int:
    """Talk to an agent of the org: say these words, or each line of the input, and see what it answers while it says it.

    install: have the assistant of this name first, with settings (`--setting.mailbox path`: a file is stored in the org).
    The token is that of a session or an API key; without one, the variable TOKEN is taken.
    """
    from polis.cli.chat import Wish
    from polis.cli.chat import chat as run
    from polis.client import Polis

    wish = Wish(agent, " ".join(words), (setting or {}) if install else None)

    async def work() -> int:
        async with Polis(_gateway(address), _token(token)) as polis:
            return await run(polis, wish, _console)

    try:
        return asyncio.run(work())
    except KeyboardInterrupt:
        return INTERRUPTED


@app.command
def demo(mailbox: str, *, address: str = "") -> int:
    """Run the e-mail digest on a mailbox (mbox file or maildir) through the gateway, and show it live.

    Without an address, the local mesh's gateway is used.
    """
    from polis.cli.demo import demo as run

    return asyncio.run(run(_gateway(address), Path(mailbox).expanduser(), _console))


@app.command
def export(folder: str, *, address: str = "", token: str = "") -> int:
    """Write the org's resources into a folder as plain files, to be kept in Git.

    The token is that of a session or an API key; without one, the variable TOKEN is taken.
    """
    from polis.cli.exchange import export as run

    place = Path(folder).expanduser()

    async def work() -> int:
        async with Api(_gateway(address), _token(token)) as api:
            return await run(api, place, _console)

    return asyncio.run(work())


@app.command(name="import")
def import_(
    folder: str,
    *,
    plan: bool = False,
    prune: bool = False,
    review: bool = False,
    title: str = "",
    address: str = "",
    token: str = "",
) -> int:
    """Make the org's resources what the files of a folder say: all of them at once, or none.

    plan: only show every create, change and delete. prune: also delete what the files do not have.
    review: propose it, for somebody else to approve.
    """
    from polis.cli.exchange import Wish, bring

    place = Path(folder).expanduser()
    wish = Wish(title or place.resolve().name, plan=plan, prune=prune, review=review)

    async def work() -> int:
        async with Api(_gateway(address), _token(token)) as api:
            return await bring(api, place, wish, _console)

    return asyncio.run(work())


@app.command
def sign(
    name: str,
    *,
    key: str = "~/.polis/publisher.pem",
    environment: str = "production",
    address: str = "",
    token: str = "",
) -> int:
    """Vouch for a version with a key of your own: `graph/email-digest@3`, or without `@` the one that the environment uses.

    key: the file of the private key; one that only you read is made when there is none. The key never leaves it.
    """
    from polis.cli.signing import sign as run

    file = Path(key).expanduser()

    async def work() -> int:
        async with Api(_gateway(address), _token(token)) as api:
            return await run(api, name, environment, file, _console)

    return asyncio.run(work())


@app.command(name="verify")
def verify_(
    name: str,
    *,
    by: tuple[str, ...] = (),
    environment: str = "production",
    address: str = "",
    token: str = "",
) -> int:
    """Say who vouches for a version, and fail when nobody does.

    by: public keys, as `polis sign` prints them, of which one has to; name those that you had from their owners
    themselves. Without any, whoever the mesh knows as a publisher counts.
    """
    from polis.cli.signing import verify as run

    async def work() -> int:
        async with Api(_gateway(address), _token(token)) as api:
            return await run(api, name, environment, by, _console)

    return asyncio.run(work())


@app.command
def run(
    graph: str,
    *,
    file: Annotated[str, Parameter(name="--input")] = "",
    follow: bool = False,
    agent: str = "",
    environment: str = "production",
    tag: tuple[str, ...] = (),
    address: str = "",
    token: str = "",
) -> int:
    """Start a run of a graph, and with --follow show its steps until it ends, then its output.

    file: one that holds a JSON object of the graph's inputs; `-` reads standard input. The exit code is 0 for a run that
    succeeded, 1 for one that failed, 3 for one that was cancelled, 2 when it was refused. Ctrl-C leaves the run going.
    """
    from polis.cli.runs import Wish
    from polis.cli.runs import run as start

    wish = Wish(graph, file, agent, environment, tag, follow)

    async def work() -> int:
        async with Api(_gateway(address), _token(token)) as api:
            return await start(api, wish, Console(stderr=True))

    try:
        return asyncio.run(work())
    except KeyboardInterrupt:
        return INTERRUPTED


@app.command
def runs(
    *,
    state: str = "",
    graph: str = "",
    agent: str = "",
    tag: str = "",
    since: str = "",
    until: str = "",
    limit: int = 20,
    address: str = "",
    token: str = "",
) -> int:
    """List the org's newest runs, of a state, a graph, an agent, a tag, or between two moments (RFC 3339)."""
    from polis.cli.runs import listed

    asked = {
        "state": state,
        "graph": graph,
        "agent": agent,
        "tag": tag,
        "since": since,
        "until": until,
        "limit": str(limit),
    }

    async def work() -> int:
        async with Api(_gateway(address), _token(token)) as api:
            return await listed(api, asked, _console)

    return asyncio.run(work())


@app.command
def timeline(run_id: str, *, attempts: bool = False, address: str = "", token: str = "") -> int:
    """Show what each step of a run did and when; with --attempts every attempt that is kept."""
    from polis.cli.runs import timeline as show

    async def work() -> int:
        async with Api(_gateway(address), _token(token)) as api:
            return await show(api, run_id, _console, attempts=attempts)

    return asyncio.run(work())


def _gateway(address: str) -> str:
    """The address, or that of the local mesh's gateway."""
    state = own_folder(_environment).state()
    return address or (state.address if state is not None else "http://127.0.0.1:8080")


def _token(given: str) -> str:
    return given or _environment.get("TOKEN", "")


@app.command
def call(operation: str, *, body: str = "{}", token: str = "") -> int:
    """Call an operation (`catalog.get_resource`) over the local mesh's bus and print the answer or the problem."""
    from polis.cli.mesh_call import call as run

    return asyncio.run(run(own_folder(_environment), operation, body, _token(token)))


@app.command
def doctor() -> int:
    """Say in plain words what keeps the mesh from running here."""
    from polis.cli.doctor import doctor as examine

    return examine(_console, own_folder(_environment), _environment)


def main() -> None:
    """A command that does not say itself why it was refused, or that no gateway answers, has it said here: in a line."""
    try:
        code = app()
    except (Problem, aiohttp.ClientError, TimeoutError) as error:
        from polis.cli.runs import refused

        code = refused(error, _console)
    sys.exit(code)


if __name__ == "__main__":
    main()
