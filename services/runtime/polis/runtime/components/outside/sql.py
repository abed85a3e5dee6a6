"""The component `sql.query`: one statement on a PostgreSQL database that is not the mesh's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from polis.runtime.component import Inputs, Step, StepFailed, component
from polis.runtime.components.expressions import compiled

if TYPE_CHECKING:
    from polis.db.foreign import Row, Server, Statement


class Config(Struct, frozen=True):
    """The database by its secret, the statement, and what its parameters are."""

    secret_id: str
    sql: str
    parameters: tuple[str, ...] = ()
    writes: bool = False
    max_rows: int = 1_000
    timeout_s: float = 30.0


@component("sql.query")
async def sql_query(step: Step, inputs: Inputs) -> None:
    from polis.db import foreign

    config, item = msgspec.convert(step.config, Config), inputs["in"]
    values = tuple(compiled(source).value({"item": item}) for source in config.parameters)
    statement = foreign.Statement(config.sql, values, config.writes, config.max_rows, config.timeout_s)
    try:
        where = foreign.server(await step.reach.secret(config.secret_id, to=_place))
        found = await _asked(step, where, statement)
    except foreign.Failed as failed:
        raise StepFailed(failed.kind, str(failed), retryable=failed.again) from None
    step.emit("out", {"rows": found})


def _place(dsn: str) -> tuple[str, int]:
    from polis.db import foreign

    where = foreign.server(dsn)
    return where.host, where.port


async def _asked(step: Step, where: Server, statement: Statement) -> list[Row]:
    """Of the addresses that it has, the first that may be connected to."""
    from polis.db import foreign

    places = await step.reach.egress.allowed.resolve(where.host, where.port)
    return await foreign.ask(where, places[0][1], statement)
