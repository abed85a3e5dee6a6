"""How statements find their rows by the plans that are made on the first day, and kept while the tables grow (ADR 38)."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Scan(NamedTuple):
    """By which index (`by`), and what of it, a table is read; None and nothing where all of it is."""

    table: str
    by: str | None
    condition: str


async def scans(admin: Any, sql: str) -> AsyncIterator[Scan]:
    """Those of a statement, whatever its parameters are."""
    nulls = ", ".join(["null"] * max((int(number) for number in re.findall(r"\$(\d+)", sql)), default=0))
    await admin.execute(f"prepare planned as {sql}")
    plan = await admin.fetchval(f"explain (format json) execute planned{nulls and f'({nulls})'}")
    await admin.execute("deallocate planned")
    todo = [json.loads(plan)[0]["Plan"]]
    while todo:
        node = todo.pop()
        within = node.get("Plans", [])
        if "Scan" in node["Node Type"] and "Relation Name" in node:
            index = within[0] if node["Node Type"] == "Bitmap Heap Scan" else node
            yield Scan(node["Relation Name"], index.get("Index Name"), index.get("Index Cond", ""))
        todo += within
