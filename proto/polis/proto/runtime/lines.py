"""What the steps of a run say: its log, line by line, kept with the run and told to those who follow it."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from polis.proto.contract import Cursor, Limit, Page, Request, Time, operation
from polis.proto.runtime.runs import RunNotFound, StepPath

LineLevel = Annotated[Literal["info", "warning", "error", "success"], Meta(examples=["info"])]
MAX_LINE = 2000
"""Characters of what a line says; of what is longer the rest is left out."""


class LogLine(Struct, frozen=True):
    """What a step has said of an item, numbered in its run from 1 without gaps.

    value: what was said with it, if anything was. What the schemas of the step's messages keep back is marked as `redacted`,
    what is too large as `left_out_bytes`.
    """

    number: int
    at: Time
    step: StepPath
    item: str
    level: LineLevel
    message: Annotated[str, Meta(max_length=MAX_LINE)]
    value: object = None


class RunLogChange(Struct, frozen=True):
    """What a follower of a run is told of a line: it has the number of the last transition.

    A number that is missing among those of the lines was not heard of; ListRunLog has it.
    """

    seq: int
    log: LogLine


@operation(http="GET /runs/{run_id}/log", scope="runtime:read", problems=(RunNotFound,))
class ListRunLog(Request[Page[LogLine]], frozen=True):
    """List what the steps of a run have said, in the order in which they did."""

    run_id: UUID
    after: Cursor | None = None
    limit: Limit = 50
