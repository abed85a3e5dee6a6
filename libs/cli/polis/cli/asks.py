"""`polis asks` and `polis answer`: what waits for me, and what I say to it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from rich.table import Table
from rich.text import Text

from polis.cli.api import Problem

if TYPE_CHECKING:
    from rich.console import Console

    from polis.cli.api import Api


async def inbox(api: Api, state: str, console: Console) -> int:
    """Show what I may answer, or might have, the newest first; the exit code."""
    table = Table("id", "kind", "title", "graph", "until", box=None)
    path = f"/asks?state={quote(state)}"
    page = await api.call("GET", path)
    while True:
        for ask in page["items"]:
            until = (ask.get("due_at") or "")[:16].replace("T", " ")
            # What runs and people wrote is shown as it is, not as markup.
            table.add_row(
                *(Text(text) for text in (ask["id"], ask["kind"], ask["title"], ask["graph"], until))
            )
        if not page.get("next_cursor"):
            break
        page = await api.call("GET", f"{path}&after={quote(page['next_cursor'])}")
    console.print(table if table.row_count else "Nothing waits for you.")
    return 0


class Said(NamedTuple):
    """What somebody answers; `value` is JSON, where it needs one."""

    decision: str
    value: str = ""
    note: str = ""


async def answer(api: Api, ask_id: str, said: Said, console: Console) -> int:
    """Answer one. Without a decision, show what is asked and what there is to decide. The exit code."""
    if not said.decision:
        console.print_json(data=await api.call("GET", f"/asks/{quote(ask_id)}"))
        return 0
    body = {"decision": said.decision, "note": said.note}
    try:
        given = {"value": json.loads(said.value)} if said.value else {}
    except json.JSONDecodeError as error:
        console.print(Text(f"The value is no JSON: {error}"))
        return 2
    try:
        ask = await api.call("POST", f"/asks/{quote(ask_id)}/answer", body | given)
    except Problem as problem:
        console.print(Text(str(problem), style="red"))
        return 1
    answered = ask["state"] == "answered"
    console.print("That is the answer." if answered else "Counted; others have to answer, too.")
    return 0
