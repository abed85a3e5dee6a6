"""The log of a run: its lines stand in the journal, each in the commit of the outcome that its step came to when it said it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from polis.proto.runtime import LogLine
from polis.runtime.shell.records import Outcome

if TYPE_CHECKING:
    from polis.db import Tenant

LOG = "@log"
"""In place of a node: where the journal has the lines, by their numbers. Like the run's end they are of this run alone."""

_encode = msgspec.json.Encoder().encode
_line = msgspec.json.Decoder(LogLine)


def outcome(line: LogLine) -> Outcome:
    """A line as the journal has it."""
    return Outcome(LOG, _item(line.number), _encode(line))


def number(item: str | None) -> int:
    """Of the line that the journal has by this item; 0: there is none."""
    return int(item or 0)


async def behind(db: Tenant, run_id: UUID, after: int, *, limit: int) -> Sequence[LogLine]:
    """The next lines behind a number."""
    rows = await db.rows(
        bytes,
        """
        select body from runtime.journal
        where org_id = $1 and run_id = $2 and node = $3 and item > $4 order by item limit $5
        """,
        db.org_id,
        run_id,
        LOG,
        _item(after),
        limit,
    )
    return [_line.decode(row) for row in rows]


def _item(number: int) -> str:
    """In whose order lines are read."""
    return f"{number:012}"
