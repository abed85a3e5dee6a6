"""Finding runs: by each thing that is asked for, in pages, through an index; and the runs below a run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from polis.proto import runtime
from polis.proto.problems import StaleCursor
from polis.runtime.runs import search

_EARLY, _LATE = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)


async def ids(person, **filters):
    page = await person.call(runtime.ListRuns(**filters))
    assert page.next_cursor is None
    return [run.id for run in page.items]


async def test_runs_are_found_by_whatever_is_asked_of_them(ada, actors, played, graph_of, caller, refused):
    played.graphs["found"] = graph_of("passthrough", "split")
    played.graphs["other"] = graph_of("passthrough")
    agent = actors.agent(ada.org_id, "finder")
    first = await ada.call(
        runtime.StartRun(graph="found", input={"x": [1]}, tags=("nightly", "eu", "nightly"))
    )
    failed = await ada.call(runtime.StartRun(graph="found", input={"x": 1}, tags=("nightly",)))
    acting = await ada.call(runtime.StartRun(graph="other", input={"x": 1}, agent="finder"))
    eve = actors.person("member", org_id=ada.org_id)
    eve.caller = caller
    hers = await eve.call(runtime.StartRun(graph="other", input={"x": 1}))

    assert first.tags == ("nightly", "eu")
    assert (await ada.call(runtime.GetRun(run_id=first.id))).tags == ("nightly", "eu")
    assert await ids(ada, tag="nightly") == [failed.id, first.id]
    assert await ids(ada, tag="nightly", state="failed") == [failed.id]
    assert await ids(ada, tag="nightly", started_by=eve.principal_id) == []
    assert await ids(ada, graph="found", state="failed") == [failed.id]
    assert await ids(ada, actor_id=agent.id) == [acting.id]
    assert await ids(ada, agent="finder", graph="other") == [acting.id]
    assert await ids(ada, agent="finder", actor_id=ada.principal_id) == []
    assert await ids(ada, actor_id=ada.principal_id) == [failed.id, first.id]
    assert await ids(ada, started_by=ada.principal_id) == [acting.id, failed.id, first.id]
    assert await ids(ada, started_by=ada.principal_id, graph="other") == [acting.id]
    assert await ids(ada, started_by=ada.principal_id, actor_id=agent.id) == [acting.id]
    second = timedelta(seconds=1)
    assert len(await ids(ada, since=first.created_at - second, until=hers.created_at + second)) == 4
    assert await ids(ada, since=hers.created_at + second) == []
    assert await ids(ada, until=first.created_at - second, started_by=ada.principal_id) == []
    begin = await ada.call(runtime.ListRuns(started_by=ada.principal_id, limit=2))
    rest = await ada.call(runtime.ListRuns(started_by=ada.principal_id, limit=2, after=begin.next_cursor))
    assert [run.id for run in (*begin.items, *rest.items)] == [acting.id, failed.id, first.id]
    other = runtime.ListRuns(started_by=eve.principal_id, after=begin.next_cursor)
    assert isinstance(await refused(ada.call(other)), StaleCursor)


async def test_a_tree_holds_the_generations_below_a_run_as_far_as_the_bounds_go(
    ada, actors, caller, played, graph_of, refused, admin
):
    played.graphs["leaf"] = graph_of("passthrough")
    root, left, right, below = [
        await ada.call(runtime.StartRun(graph="leaf", input={"x": 1})) for _ in range(4)
    ]
    for child, parent in ((left, root), (right, root), (below, left)):
        await admin.execute("update runtime.runs set parent_id = $2 where id = $1", child.id, parent.id)

    whole = await ada.call(runtime.GetRunTree(run_id=root.id))
    one = await ada.call(runtime.GetRunTree(run_id=root.id, depth=1))
    two = await ada.call(runtime.GetRunTree(run_id=root.id, limit=2))

    assert [run.id for run in whole.runs] == [root.id, left.id, right.id, below.id]
    assert [run.parent_id for run in whole.runs] == [None, root.id, root.id, left.id]
    assert whole.complete
    assert ([run.id for run in one.runs], one.complete) == ([root.id, left.id, right.id], False)
    assert ([run.id for run in two.runs], two.complete) == ([root.id, left.id], False)
    assert await ids(ada, parent_id=root.id) == [right.id, left.id]
    eve = actors.person("owner")
    eve.caller = caller
    hidden = await refused(eve.call(runtime.GetRunTree(run_id=root.id)))
    assert hidden == runtime.RunNotFound(run_id=root.id)


@pytest.mark.parametrize(
    ("names", "index"),
    [
        ((), "runs_pkey"),
        (("state",), "runs_by_state"),
        (("graph",), "runs_by_graph"),
        (("actor_id",), "runs_by_actor"),
        (("started_by",), "runs_by_starter"),
        (("parent_id",), "runs_by_parent"),
        (("origin_id",), "runs_by_origin"),
        (("tag",), "run_tags_pkey"),
        (("graph", search.FAILED), "runs_failed_by_graph"),
    ],
)
async def test_a_page_is_read_backwards_through_an_index(admin, running, names, index):
    """A plan that sorts reads every run of the org for each page."""
    sql = search._statement(names, until=True, since=True)
    moments = [search.first_id(moment) for moment in (_LATE, _EARLY)]
    values = [
        {"state": "failed", "graph": "a", "tag": "a"}.get(name, uuid4())
        for name in names
        if name != search.FAILED
    ]

    async with admin.transaction():
        # The table is almost empty, where reading all of it costs nothing.
        for setting in ("enable_seqscan", "enable_bitmapscan", "enable_sort"):
            await admin.execute(f"set local {setting} = off")
        plan = await admin.fetch("explain " + sql, uuid4(), 50, *moments, *values)

    text = "\n".join(row[0] for row in plan)
    assert f"Scan Backward using {index} on" in text, text
    assert "Sort  " not in text, text
