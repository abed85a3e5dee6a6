"""`polis audit verify`: the org's audit log from its beginning to its end, and the first record that is not as it was written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

if TYPE_CHECKING:
    from rich.console import Console

    from polis.cli.api import Api

_FAULTS = {
    "missing": "is missing",
    "changed": "is not what was written, or the one before it is not",
    "cut": "is missing, and all behind it",
}


async def verify(api: Api, noted: str, console: Console) -> int:
    """Verify part by part; the exit code. `noted`: `<number>:<hash>` as an earlier run told, which must still be there."""
    number, _, digest = noted.partition(":")
    asked: dict[str, Any] = {"noted_n": number, "noted_hash": digest} if noted else {}
    start = None
    while True:
        state = await api.call("GET", f"/audit/verification?{urlencode(asked)}")
        start = state["start"] if start is None else start
        if broken := state.get("broken"):
            console.print(f"[red]Record {broken['n']} {_FAULTS[broken['fault']]}.[/red]")
            return 1
        if state.get("next_after") is None:
            break
        asked["after"] = state["next_after"]
    end = state["end"]
    console.print(
        f"Records {start['n'] + 1} to {end['n']} are as they were written. Note this down elsewhere:"
    )
    console.print(f"{end['n']}:{end['hash']}", soft_wrap=True)
    return 0
