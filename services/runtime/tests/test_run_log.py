"""What steps say in a run's log: kept once with the run, told live as it is kept, and read by pages."""

from __future__ import annotations

from itertools import pairwise

import msgspec

from polis.proto import runtime
from polis.proto.contract import Page
from polis.proto.graph import Edge, Graph, GraphInput, GraphOutput, Node
from polis.proto.problems import StaleCursor
from polis.testing import eventually

PERSONAL = {"type": "object", "properties": {"name": {"x-data-class": "personal"}}}


def says(*behind, schema=None, level="info", expression="item", **fields):
    """split -> log -> ..., from the list `x` to `y`."""
    nodes = {"all": Node("split"), "say": Node("log", _config(level, expression))}
    nodes |= {f"n{n}": node for n, node in enumerate(behind)}
    names = list(nodes)
    return Graph(
        nodes=nodes,
        edges=tuple(Edge(f"{a}.out", f"{b}.in") for a, b in pairwise(names)),
        inputs={"x": GraphInput("all.in", schema=schema or {})},
        outputs={"y": GraphOutput(f"{names[-1]}.out", many=True)},
        **fields,
    )


def _config(level, expression):
    return {"message": "found", "level": level} | ({"expression": expression} if expression else {})


async def end(ada, run):
    async def look():
        found = await ada.call(runtime.GetRun(run_id=run.id))
        return found if found.state in runtime.TERMINAL else None

    return await eventually(look, within_s=15)


async def log_of(person, run, **page):
    found: Page[runtime.LogLine] = await person.call(runtime.ListRunLog(run_id=run.id, **page))
    return found


async def test_each_line_is_kept_with_its_step_its_item_and_its_value(ada, start):
    run = await start(says(level="success"), ["a", {"b": [1]}])

    ended = await end(ada, run)
    lines = (await log_of(ada, run)).items

    assert ended.state == "succeeded"
    assert [(one.number, one.step, one.item, one.level, one.message, one.value) for one in lines] == [
        (1, "say", "0", "success", "found", "a"),
        (2, "say", "1", "success", "found", {"b": [1]}),
    ]
    assert ended.created_at <= lines[0].at <= lines[1].at <= ended.ended_at


async def test_who_watches_is_told_each_line_once_it_is_kept(ada, start, stage, effects):
    effects.gate.clear()
    run = await start(says(Node("test.effect")), [])
    waiting = await start(_in_turn(), "x")
    told = []
    bus = await stage.bus("gateway")
    await bus.subscribe(
        f"live.{ada.org_id}.run.{waiting.id}",
        lambda m: told.extend(msgspec.json.decode(m.payload, type=runtime.LiveTransitions).lines),
    )
    await bus.flush(2.0)

    effects.gate.set()
    await end(ada, waiting)
    await end(ada, run)

    kept = (await log_of(ada, waiting)).items
    assert [line.step for line in kept] == ["before", "after"]
    await eventually(lambda: told and tuple(told) == kept[-len(told) :])
    assert (await log_of(ada, run)).items == ()


def _in_turn():
    """A line, what waits for the gate, and a line."""
    return Graph(
        nodes={"before": Node("log"), "act": Node("test.effect"), "after": Node("log")},
        edges=(Edge("before.out", "act.in"), Edge("act.out", "after.in")),
        inputs={"x": GraphInput("before.in")},
        outputs={"y": GraphOutput("after.out")},
    )


async def test_what_schemas_keep_back_and_what_is_large_is_not_shown(ada, start, admin):
    hidden = await start(says(schema={"items": PERSONAL}), [{"name": "Ada", "n": 1}])
    named = await start(says(expression="{'password': item, 'n': 1}"), ["p4ss"])
    large = await start(says(), ["x" * 5_000])
    bare = await start(says(expression=""), ["nothing"])

    values = []
    for run in (hidden, named, large, bare):
        await end(ada, run)
        values += [line.value for line in (await log_of(ada, run)).items]

    assert values == [
        {"redacted": "personal"},
        {"password": {"redacted": "secret"}, "n": 1},
        {"left_out_bytes": 5_002},
        None,
    ]
    kept = await admin.fetch(
        "select body from runtime.journal where node = '@log' and run_id = any($1)", [hidden.id, named.id]
    )
    assert not any(b"Ada" in row["body"] or b"p4ss" in row["body"] for row in kept)


async def test_a_log_is_read_by_pages_of_its_run_alone(ada, start, actors, refused):
    run, other = await start(says(), list(range(7))), await start(says(), [1])
    await end(ada, run)
    await end(ada, other)

    found, after = [], None
    while True:
        page = await log_of(ada, run, after=after, limit=3)
        found.append([line.value for line in page.items])
        if (after := page.next_cursor) is None:
            break
        last = after

    assert found == [[0, 1, 2], [3, 4, 5], [6]]
    assert isinstance(await refused(log_of(ada, other, after=last)), StaleCursor)
    stranger = actors.person("owner")
    stranger.caller = ada.caller
    assert isinstance(await refused(log_of(stranger, run)), runtime.RunNotFound)


async def test_a_line_of_a_graph_in_a_graph_names_its_path(ada, start):
    inner = {
        "nodes": {"say": {"component": "log", "config": {"message": "in"}}},
        "inputs": {"item": {"target": "say.in"}},
        "outputs": {"out": {"source": "say.out"}},
    }
    graph = Graph(
        nodes={"each": Node("each.graph", {"graph": inner})},
        inputs={"x": GraphInput("each.in")},
        outputs={"y": GraphOutput("each.out")},
    )
    run = await start(graph, ["a", "b"])

    ended = await end(ada, run)

    assert ended.error is None
    assert {line.step for line in (await log_of(ada, run)).items} == {"each/say"}


async def test_who_takes_a_run_up_goes_on_behind_its_last_line_and_says_none_again(ada, start, admin):
    """It rests between the two lines: another process, or this one, takes it up with its journal."""
    graph = Graph(
        nodes={"before": Node("log"), "rest": Node("signal", {"name": "go"}), "after": Node("log")},
        edges=(Edge("before.out", "rest.in"), Edge("rest.out", "after.in")),
        inputs={"x": GraphInput("before.in")},
        outputs={"y": GraphOutput("after.out")},
    )
    run = await start(graph, "x")

    async def rests():
        row = await admin.fetchrow("select state, owner from runtime.runs where id = $1", run.id)
        return tuple(row) == ("waiting", None)

    await eventually(rests, within_s=10)
    await ada.call(runtime.SignalRun(run_id=run.id, name="go"))
    assert (await end(ada, run)).state == "succeeded"

    lines = (await log_of(ada, run)).items
    assert [(line.number, line.step) for line in lines] == [(1, "before"), (2, "after")]


async def test_a_run_made_from_another_begins_a_log_of_its_own(ada, start, effects):
    run = await start(_in_turn(), "x")
    await end(ada, run)

    again = await ada.call(runtime.RerunRun(run_id=run.id, step="act"))
    assert (await end(ada, again)).state == "succeeded"

    assert [(line.number, line.step) for line in (await log_of(ada, again)).items] == [(1, "after")]


async def test_a_log_goes_with_its_run(ada, start, admin, refused):
    run = await start(says(), [1])
    await end(ada, run)

    await ada.call(runtime.DeleteRun(run_id=run.id))

    assert isinstance(await refused(log_of(ada, run)), runtime.RunNotFound)
    assert not await admin.fetchval("select count(*) from runtime.journal where run_id = $1", run.id)


async def test_what_a_failed_attempt_said_is_not_in_the_log(ada, start):
    run = await start(says(expression="item.missing"), [{"n": 1}])

    assert (await end(ada, run)).state == "failed"
    assert (await log_of(ada, run)).items == ()


async def test_many_lines_at_a_time_are_all_kept_and_told_in_messages_of_bounded_size(
    ada, start, stage, effects
):
    """A step that nothing with an effect is behind waits for no commit: all of its lines may come with the run's last one."""
    effects.gate.clear()
    graph = says()
    graph.nodes["act"] = Node("test.effect")
    graph = msgspec.structs.replace(
        graph, edges=(*graph.edges, Edge("act.out", "all.in")), inputs={"x": GraphInput("act.in")}
    )
    run = await start(graph, list(range(300)))
    heard = []
    bus = await stage.bus("gateway")
    await bus.subscribe(
        f"live.{ada.org_id}.run.{run.id}",
        lambda m: heard.append(msgspec.json.decode(m.payload, type=runtime.LiveTransitions)),
    )
    await bus.flush(2.0)

    effects.gate.set()
    await end(ada, run)

    kept = (await log_of(ada, run, limit=200)).items
    assert [line.value for line in kept] == list(range(200))
    await eventually(lambda: any(t.state == "succeeded" and not t.step for m in heard for t in m.transitions))
    numbers = [line.number for message in heard for line in message.lines]
    assert max(len(message.lines) for message in heard) <= 32
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == 300
