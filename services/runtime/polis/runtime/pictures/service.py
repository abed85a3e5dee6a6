"""Pictures of runs, drawn when they are asked for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from polis.proto import Refused, runtime
from polis.proto.graph import Graph
from polis.runtime.own import Own
from polis.runtime.pictures import mermaid, svg
from polis.runtime.pictures.layout import lay_out
from polis.runtime.shell.records import decode_steps
from polis.service import Context, Handlers

if TYPE_CHECKING:
    from polis.runtime.pictures.layout import Drawing

handlers = Handlers()


class _Row(msgspec.Struct, frozen=True):
    graph: str
    state: str
    steps: bytes
    content: bytes


class _Executed(msgspec.Struct, frozen=True):
    """As much of a stored program as is drawn."""

    graph: Graph


_executed = msgspec.json.Decoder(_Executed)


@handlers.handles(runtime.GetRunPicture)
async def get_run_picture(request: runtime.GetRunPicture, ctx: Context[Own]) -> runtime.RunPicture:
    row = await ctx.db.row(
        _Row,
        """
        select r.graph, r.state, r.steps, p.content from runtime.runs r
            join runtime.programs p on p.org_id = r.org_id and p.digest = r.program
        where r.org_id = $1 and r.id = $2
        """,
        ctx.db.org_id,
        request.run_id,
    )
    if row is None:
        raise Refused(runtime.RunNotFound(run_id=request.run_id))
    # 500 nodes and 5,000 edges take tens of milliseconds.
    return await asyncio.to_thread(_draw, row, request.format)


def _draw(row: _Row, form: str) -> runtime.RunPicture:
    drawing: Drawing = lay_out(
        f"{row.graph}: {row.state}",
        _executed.decode(row.content).graph,
        decode_steps(row.steps),
    )
    if form == "mermaid":
        return runtime.RunPicture("text/vnd.mermaid", mermaid.write(drawing))
    return runtime.RunPicture("image/svg+xml", svg.write(drawing))
