"""Finding runs: pages by what is asked for, newest first, and the runs below a run."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from polis.proto import Refused, runtime
from polis.runtime.shell.records import RunRow

if TYPE_CHECKING:
    from polis.db import Tenant
    from polis.proto.runtime import ListRuns, Run


class Wanted(Struct, frozen=True):
    """What is asked for of every run in a list; None: nothing in particular."""

    state: str | None = None
    graph: str | None = None
    actor_id: UUID | None = None
    started_by: UUID | None = None
    tag: str | None = None
    parent_id: UUID | None = None
    origin_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None


_FILTERS = ("tag", "parent_id", "origin_id", "started_by", "actor_id", "graph", "state")
FAILED = "failed"
"""A state as a constant of the statement: with a parameter no plan could rely on the index of failed runs."""
_COLUMNS = """
    select r.id, r.org_id, r.graph, r.digest, r.state, r.actor_id, r.started_by, r.created_at, r.started_at, r.ended_at,
        r.error, r.tags, r.parent_id, r.origin_id, r.origin_kind, r.origin_step,
        r.trigger_id, r.occurrence
"""
_RUNS = _COLUMNS + " from runtime.runs r where r.org_id = $1"
_TAGGED = (
    _COLUMNS
    + " from runtime.run_tags t join runtime.runs r on r.org_id = t.org_id and r.id = t.run_id where t.org_id = $1"
)
_NEWEST = " order by r.id desc limit $2"
_TAGGED_NEWEST = " order by t.run_id desc limit $2"


def wanted(request: ListRuns) -> Wanted:
    return Wanted(**{name: getattr(request, name) for name in Wanted.__struct_fields__})


async def page(db: Tenant, asked: Wanted, *, before: UUID | None, limit: int) -> list[Run]:
    """Runs of the org, newest first. Ids are in the order of time, so that moments are bounds of ids."""
    ends = [end for end in (before, first_id(asked.until) if asked.until else None) if end is not None]
    values = {name: value for name in _FILTERS if (value := getattr(asked, name)) is not None}
    since = None if asked.since is None else first_id(asked.since)
    failed = values.get("state") == "failed"
    if failed:
        del values["state"]
    names = (*values, FAILED) if failed else tuple(values)
    sql = _statement(names, until=bool(ends), since=since is not None)
    bounds = ([min(ends)] if ends else []) + ([] if since is None else [since])
    return [row.run for row in await db.rows(RunRow, sql, db.org_id, limit, *bounds, *values.values())]


@lru_cache(maxsize=1024)
def _statement(names: tuple[str, ...], *, until: bool, since: bool) -> str:
    """A statement of its own for each set of filters: a plan that is made for all of them suits none."""
    tagged = "tag" in names
    # Both say it, for what is compared with one side of a join bounds the other by equality alone.
    keys = ("t.run_id", "r.id") if tagged else ("r.id",)
    number = 2
    conditions = []
    for bound, given in ((" < ", until), (" >= ", since)):
        if given:
            number += 1
            conditions += [f"{key}{bound}${number}" for key in keys]
    starter = ""
    for name in names:
        if name == FAILED:
            conditions.append("r.state = 'failed'")
            continue
        number += 1
        if name == "tag":
            conditions.append(f"t.tag = ${number}")
        elif name == "started_by" and "actor_id" not in names and not tagged:
            starter = f"r.started_by = ${number}"
        else:
            conditions.append(f"r.{name} = ${number}")
    rest = "".join(f" and {condition}" for condition in conditions)
    if tagged:
        return _TAGGED + rest + _TAGGED_NEWEST
    if not starter:
        return _RUNS + rest + _NEWEST
    # Who started runs as itself is found by the index of actors, who started those of another by an index of its own.
    own = f" and {starter} and r.actor_id = {starter.rpartition(' ')[2]}"
    others = f" and {starter} and r.started_by <> r.actor_id"
    both = f"({_RUNS}{rest}{own}{_NEWEST}) union all ({_RUNS}{rest}{others}{_NEWEST})"
    return f"select r.* from ({both}) r{_NEWEST}"  # noqa: S608 - the parts are constants


def first_id(moment: datetime) -> UUID:
    """The smallest id that can have been made at this moment: UUIDv7 begins with its milliseconds."""
    milliseconds = max(0, min(int(moment.timestamp() * 1000), 2**48 - 1))
    return UUID(int=milliseconds << 80)


async def tree(db: Tenant, run_id: UUID, *, depth: int, limit: int) -> runtime.RunTree:
    """A run and what is below it, generation by generation. Refused(RunNotFound)."""
    rows = await db.rows(
        RunRow,
        """
        with recursive below as (
            (select 0 as depth, r.id from runtime.runs r where r.org_id = $1 and r.id = $2)
            union all
            (select b.depth + 1, c.id from below b cross join lateral (
                select r.id from runtime.runs r where r.org_id = $1 and r.parent_id = b.id order by r.id limit $4
            ) c where b.depth < $3)
        )
        select r.id, r.org_id, r.graph, r.digest, r.state, r.actor_id, r.started_by, r.created_at, r.started_at,
            r.ended_at, r.error, r.tags, r.parent_id, r.origin_id, r.origin_kind, r.origin_step, r.trigger_id, r.occurrence
        from (select depth, id from below limit $4) b join runtime.runs r on r.org_id = $1 and r.id = b.id
        order by b.depth, b.id
        """,
        db.org_id,
        run_id,
        # One generation and one run more than is asked for: they are left out, and tell that something was.
        depth + 1,
        limit + 1,
    )
    if not rows:
        raise Refused(runtime.RunNotFound(run_id=run_id))
    kept = _within([row.run for row in rows], depth)
    return runtime.RunTree(tuple(kept[:limit]), complete=len(kept[:limit]) == len(rows))


def _within(runs: list[Run], depth: int) -> list[Run]:
    """Those at most so many generations below the first."""
    generation = {runs[0].id: 0}
    for run in runs[1:]:
        generation[run.id] = generation.get(run.parent_id, 0) + 1 if run.parent_id else 0
    return [run for run in runs if generation[run.id] <= depth]
