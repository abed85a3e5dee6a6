"""Runs as their callers see them, through the bus."""

from __future__ import annotations

import asyncio
import base64
from datetime import UTC, datetime
from uuid import uuid4

import msgspec
import pytest

from polis.proto import catalog, runtime
from polis.proto.contract import event_type_of
from polis.proto.graph import Edge, Graph, GraphInput, GraphOutput, Node
from polis.proto.identity import AgentDeleted, AgentSuspended
from polis.proto.problems import Forbidden, KeyReused, StaleCursor
from polis.testing import eventually


@pytest.fixture
async def facts(stage):
    import asyncpg

    admin = await asyncpg.connect(stage.database.admin_url)

    async def told(run_id):
        rows = await admin.fetch("select fact from runtime.outbox where entity = $1 order by n", str(run_id))
        return [row["fact"] for row in rows]

    yield told
    await admin.close()


@pytest.fixture
async def events(stage):
    """The events of one kind that were told of a run."""
    import asyncpg

    admin = await asyncpg.connect(stage.database.admin_url)

    async def told(run_id, kind):
        rows = await admin.fetch(
            "select payload from runtime.outbox where entity = $1 and fact = $2",
            str(run_id),
            event_type_of(kind).fact,
        )
        return [msgspec.json.decode(row["payload"], type=kind) for row in rows]

    yield told
    await admin.close()


async def ended(person, run_id, within_s=5.0):
    async def look():
        run = await person.call(runtime.GetRun(run_id=run_id))
        return run if run.state in runtime.TERMINAL else None

    return await eventually(look, within_s=within_s)


async def test_a_quick_run_without_effects_has_ended_when_it_is_answered(ada, played, graph_of, facts):
    played.graphs["quick"] = graph_of("split", "map", "collect")
    played.graphs["quick"].nodes["n1"] = Node("map", config={"expression": "item * 2"})

    run = await ada.call(runtime.StartRun(graph="quick", input={"x": [1, 2, 3]}))

    assert run.state == "succeeded"
    assert (run.actor_id, run.started_by, run.org_id) == (ada.principal_id, ada.principal_id, ada.org_id)
    assert run.created_at == run.started_at <= run.ended_at
    assert await ada.call(runtime.GetRun(run_id=run.id)) == run
    assert (await ada.call(runtime.GetOutput(run_id=run.id))).values == {"y": [[2, 4, 6]]}
    assert await facts(run.id) == ["run_started", "run_succeeded"]


async def test_the_timeline_tells_what_each_step_did(ada, played, graph_of):
    played.graphs["timeline"] = graph_of("split", "passthrough", "collect")

    run = await ada.call(runtime.StartRun(graph="timeline", input={"x": [1, 2, 3]}))
    timeline = await ada.call(runtime.GetTimeline(run_id=run.id))

    assert timeline.run == run
    assert [(s.node, s.component, s.state, s.received, s.emitted, s.attempts) for s in timeline.steps] == [
        ("n0", "split", "succeeded", 1, 3, 1),
        ("n1", "passthrough", "succeeded", 3, 3, 3),
        ("n2", "collect", "succeeded", 3, 1, 1),
    ]
    assert all(s.started_ms is not None and s.started_ms <= s.ended_ms for s in timeline.steps)


async def test_a_run_with_effects_is_accepted_first_and_does_each_of_them_once(
    ada, played, effects, graph_of, facts
):
    played.graphs["effects"] = graph_of("split", "test.effect", "collect")
    effects.gate.clear()

    run = await ada.call(runtime.StartRun(graph="effects", input={"x": [1, 2, 3]}))
    assert run.state == "running"
    assert await ada.call(runtime.GetTimeline(run_id=run.id))
    effects.gate.set()

    assert (await ended(ada, run.id)).state == "succeeded"
    assert (await ada.call(runtime.GetOutput(run_id=run.id))).values == {"y": [[1, 2, 3]]}
    assert sorted(effects.keys) == [f"{run.id}/n1/{i}" for i in range(3)]
    assert await facts(run.id) == ["run_started", "run_succeeded"]


async def test_the_end_of_a_run_tells_what_ran_and_as_whom(ada, actors, played, effects, graph_of, events):
    agent = actors.agent(ada.org_id, "teller")
    played.graphs["ends"], played.graphs["effect"] = graph_of("split", "collect"), graph_of("test.effect")

    good = await ada.call(runtime.StartRun(graph="ends", input={"x": [1]}, agent="teller"))
    bad = await ada.call(runtime.StartRun(graph="ends", input={"x": "no list"}))
    slow = await ada.call(runtime.StartRun(graph="effect", input={"x": 1}, agent="teller"))

    assert (await ended(ada, slow.id)).state == "succeeded"
    for run, graph in ((good, "ends"), (slow, "effect")):
        told = runtime.RunSucceeded(ada.org_id, run.id, graph, agent.id)
        assert await events(run.id, runtime.RunSucceeded) == [told]
    told = runtime.RunFailed(ada.org_id, bad.id, bad.error, "ends", ada.principal_id)
    assert await events(bad.id, runtime.RunFailed) == [told]


async def test_a_failed_run_names_its_step(ada, played, graph_of, refused, facts):
    played.graphs["fails"] = graph_of("passthrough", "split")

    run = await ada.call(runtime.StartRun(graph="fails", input={"x": "no list"}))

    assert (run.state, run.error.step, run.error.kind) == ("failed", "n1", "input.invalid")
    assert await refused(ada.call(runtime.GetOutput(run_id=run.id))) == runtime.NoOutputYet(state="failed")
    assert await facts(run.id) == ["run_started", "run_failed"]


async def test_a_repeated_idempotency_key_gives_the_same_run_and_starts_nothing(
    ada, played, effects, graph_of, refused
):
    played.graphs["once"] = graph_of("test.effect")
    request = runtime.StartRun(graph="once", input={"x": 1})

    first = await ada.call(request, key="k1")
    await ended(ada, first.id)
    played.graphs.pop("once")
    again = await ada.call(request, key="k1")

    assert again == first
    assert len(effects.keys) == 1
    other = runtime.StartRun(graph="once", input={"x": 2})
    assert isinstance(await refused(ada.call(other, key="k1")), KeyReused)
    assert len((await ada.call(runtime.ListRuns(graph="once"))).items) == 1


async def test_what_cannot_start_says_why_and_stores_nothing(ada, played, graph_of, refused):
    played.graphs["needs"] = msgspec.structs.replace(
        graph_of("passthrough"), inputs={"x": GraphInput("n0.in", schema={"type": "string"})}
    )
    played.graphs["broken"] = graph_of("passthrough", "passthrough", "nowhere")
    played.graphs["uncompiled"] = graph_of("map")
    played.graphs["uncompiled"].nodes["n0"] = Node("map", config={"expression": "1 +"})

    assert await refused(ada.call(runtime.StartRun(graph="unknown"))) == runtime.GraphNotFound(
        graph="unknown"
    )
    problem = await refused(ada.call(runtime.StartRun(graph="needs", input={"x": 1, "z": 2})))
    assert {f.pointer for f in problem.faults} == {"/input/x", "/input/z"}
    problem = await refused(ada.call(runtime.StartRun(graph="needs")))
    assert {(f.pointer, f.detail) for f in problem.faults} == {("/input/x", "required")}
    problem = await refused(ada.call(runtime.StartRun(graph="broken", input={"x": 1})))
    assert [f.pointer for f in problem.faults] == ["/nodes/n2/component"]
    problem = await refused(ada.call(runtime.StartRun(graph="uncompiled", input={"x": 1})))
    assert [f.pointer for f in problem.faults] == ["/nodes/n0/config/expression"]
    assert (await ada.call(runtime.ListRuns())).items == ()


async def test_a_run_can_act_as_an_agent_and_reads_files_with_its_narrowed_token(ada, actors, played):
    agent = actors.agent(ada.org_id, "sarah")
    file = uuid4()
    played.files[file] = (
        b"From a@example.org Mon Jan  5 10:00:00 2026\r\nFrom: a@example.org\r\nSubject: Hi\r\n\r\nHello you.\r\n"
    )
    played.graphs["mails"] = Graph(
        nodes={"read": Node("mail.read_mailbox"), "all": Node("collect")},
        edges=(Edge("read.mail", "all.in"),),
        inputs={"mailbox": GraphInput("read.mailbox")},
        outputs={"mails": GraphOutput("all.out")},
    )

    run = await ada.call(
        runtime.StartRun(graph="mails", input={"mailbox": {"artifact_id": str(file)}}, agent="sarah")
    )
    assert (run.actor_id, run.started_by) == (agent.id, ada.principal_id)
    assert (await ended(ada, run.id)).error is None

    assert len((await ada.call(runtime.GetOutput(run_id=run.id))).values["mails"]) == 1
    body = played.tokens[-1].split(".")[1]
    claims = msgspec.json.decode(base64.urlsafe_b64decode(body + "=="))
    assert (claims["sub"], claims["scope"], claims["act"]) == (
        str(agent.id),
        "catalog:read",
        {"sub": "runtime"},
    )


async def test_no_run_begins_as_an_agent_that_is_suspended(ada, actors, played, effects, graph_of, refused):
    agent = actors.agent(ada.org_id, "resting")
    played.graphs["rest"] = graph_of("test.effect")
    actors.agents[ada.org_id, "resting"] = msgspec.structs.replace(agent, suspended_at=datetime.now(UTC))

    problem = await refused(ada.call(runtime.StartRun(graph="rest", input={"x": 1}, agent="resting")))

    assert problem == runtime.AgentUnknown(agent="resting")


async def test_a_cancelled_run_has_no_further_effect(ada, played, effects, graph_of, refused, facts):
    played.graphs["cancel"] = graph_of("test.effect", "test.effect")
    effects.gate.clear()
    run = await ada.call(runtime.StartRun(graph="cancel", input={"x": 1}))
    await eventually(lambda: effects.begun)

    cancelled = await ada.call(runtime.CancelRun(run_id=run.id))
    effects.gate.set()

    assert cancelled.state == "cancelled"
    assert await ada.call(runtime.GetRun(run_id=run.id)) == cancelled
    assert await refused(ada.call(runtime.CancelRun(run_id=run.id))) == runtime.RunEnded(state="cancelled")
    steps = (await ada.call(runtime.GetTimeline(run_id=run.id))).steps
    assert {s.state for s in steps} == {"cancelled"}
    assert effects.keys == []
    assert await facts(run.id) == ["run_started", "run_cancelled"]


@pytest.mark.parametrize(("what", "kind"), [(AgentDeleted, "deleted"), (AgentSuspended, "suspended")])
async def test_runs_of_an_agent_that_is_deleted_or_suspended_are_cancelled_and_tell_why(
    ada, actors, tell, played, effects, graph_of, events, what, kind
):
    agent = actors.agent(ada.org_id, kind)
    played.graphs["orphan"] = graph_of("test.effect")
    effects.gate.clear()
    run = await ada.call(runtime.StartRun(graph="orphan", input={"x": 1}, agent=kind))
    other = await ada.call(runtime.StartRun(graph="orphan", input={"x": 1}))

    await tell(what(org_id=ada.org_id, agent_id=agent.id))

    cancelled = await ended(ada, run.id)
    why = runtime.RunError("", f"agent.{kind}", f"the agent that it acts as was {kind}")
    assert (cancelled.state, cancelled.error) == ("cancelled", why)
    watched = await ada.call(runtime.WatchRun(run_id=run.id, after=0))
    assert (watched.transitions[-1].state, watched.transitions[-1].error) == ("cancelled", why)
    told = runtime.RunCancelled(ada.org_id, run.id, why, "orphan", agent.id)
    assert await events(run.id, runtime.RunCancelled) == [told]
    assert (await ada.call(runtime.GetRun(run_id=other.id))).state == "running"
    effects.gate.set()
    assert (await ended(ada, other.id)).state == "succeeded"
    assert effects.keys == [f"{other.id}/n0/-"]


async def test_runs_are_listed_newest_first_in_pages(ada, played, graph_of, refused):
    played.graphs["a"] = graph_of("passthrough")
    played.graphs["b"] = graph_of("passthrough", "split")
    runs = [await ada.call(runtime.StartRun(graph="ab"[i % 2], input={"x": i})) for i in range(5)]

    page = await ada.call(runtime.ListRuns(limit=3))
    rest = await ada.call(runtime.ListRuns(limit=3, after=page.next_cursor))

    assert [r.id for r in (*page.items, *rest.items)] == [r.id for r in reversed(runs)]
    assert rest.next_cursor is None
    assert [r.id for r in (await ada.call(runtime.ListRuns(state="failed"))).items] == [
        runs[3].id,
        runs[1].id,
    ]
    assert len((await ada.call(runtime.ListRuns(graph="a"))).items) == 3
    assert isinstance(
        await refused(ada.call(runtime.ListRuns(graph="a", after=page.next_cursor))), StaleCursor
    )
    assert isinstance(await refused(ada.call(runtime.ListRuns(after="x" * 40))), StaleCursor)


async def test_nobody_sees_or_touches_the_runs_of_another_org(ada, actors, caller, played, graph_of, refused):
    played.graphs["mine"] = graph_of("passthrough")
    run = await ada.call(runtime.StartRun(graph="mine", input={"x": 1}))
    eve = actors.person("owner")
    eve.caller = caller

    for request in (
        runtime.GetRun(run_id=run.id), runtime.CancelRun(run_id=run.id), runtime.GetTimeline(run_id=run.id),
        runtime.GetOutput(run_id=run.id), runtime.WatchRun(run_id=run.id),
    ):  # fmt: skip
        assert await refused(eve.call(request)) == runtime.RunNotFound(run_id=run.id)
    assert (await eve.call(runtime.ListRuns())).items == ()


async def test_a_viewer_may_look_but_not_start(ada, actors, caller, played, graph_of, refused):
    played.graphs["look"] = graph_of("passthrough")
    run = await ada.call(runtime.StartRun(graph="look", input={"x": 1}))
    viewer = actors.person("viewer", org_id=ada.org_id)
    viewer.caller = caller

    assert await viewer.call(runtime.GetRun(run_id=run.id)) == run
    assert isinstance(await refused(viewer.call(runtime.StartRun(graph="look", input={"x": 1}))), Forbidden)


async def test_a_watcher_sees_every_transition_once_live_or_by_its_cursor(
    ada, stage, played, effects, graph_of
):
    played.graphs["watched"] = graph_of("split", "test.effect", "collect")
    effects.gate.clear()
    bus = await stage.bus("gateway")
    live = []
    run = await ada.call(runtime.StartRun(graph="watched", input={"x": [1, 2]}))
    await bus.subscribe(
        f"live.{ada.org_id}.run.{run.id}",
        lambda m: live.extend(msgspec.json.decode(m.payload, type=runtime.LiveTransitions).transitions),
    )
    await bus.flush(2.0)
    snapshot = await ada.call(runtime.WatchRun(run_id=run.id))
    assert {s.node for s in snapshot.steps} == {"n0", "n1", "n2"}

    effects.gate.set()
    await ended(ada, run.id)
    behind = await ada.call(runtime.WatchRun(run_id=run.id, after=snapshot.seq))
    everything = await ada.call(runtime.WatchRun(run_id=run.id, after=0))

    assert behind.recovered
    assert everything.recovered
    assert [t.seq for t in everything.transitions] == list(range(1, everything.seq + 1))
    assert behind.transitions == everything.transitions[snapshot.seq :]
    assert everything.transitions[0].state == "running"
    assert (everything.transitions[-1].state, everything.transitions[-1].step) == ("succeeded", None)
    missed = [t for t in everything.transitions if t.seq > snapshot.seq]
    await eventually(lambda: [t for t in live if t.seq > snapshot.seq] == missed)
    current = await ada.call(runtime.WatchRun(run_id=run.id, after=everything.seq))
    assert (current.recovered, current.transitions, current.steps) == (True, (), ())
    future = await ada.call(runtime.WatchRun(run_id=run.id, after=everything.seq + 5))
    assert not future.recovered
    assert len(future.steps) == 3


async def test_hundreds_of_runs_at_once_are_all_right(ada, played, effects, graph_of):
    played.graphs["many"] = graph_of("split", "test.effect", "collect")

    runs = await asyncio.gather(
        *(ada.call(runtime.StartRun(graph="many", input={"x": [n, n]})) for n in range(200))
    )
    await asyncio.gather(*(ended(ada, run.id, within_s=20) for run in runs))

    outputs = await asyncio.gather(*(ada.call(runtime.GetOutput(run_id=run.id)) for run in runs))
    assert [o.values["y"] for o in outputs] == [[[n, n]] for n in range(200)]
    assert len(effects.keys) == len(set(effects.keys)) == 400


async def test_a_run_that_only_computes_is_ended_at_its_time(ada, played):
    """Each node has the messages of all in front of it twice: some hundred million at the last one."""
    nodes = {f"n{i}": Node("passthrough") for i in range(28)}
    played.graphs["doubling"] = Graph(
        nodes=nodes,
        edges=tuple(Edge(f"n{i}.out", f"n{j}.in") for j in range(28) for i in range(j)),
        inputs={"x": GraphInput("n0.in")},
        timeout_s=0.5,
    )

    run = await ada.call(runtime.StartRun(graph="doubling", input={"x": 1}))

    assert (await ended(ada, run.id, within_s=20)).error.kind == "run.timeout"


async def test_a_graph_is_resolved_again_once_it_has_changed(ada, played, graph_of):
    played.graphs["kept"] = graph_of("passthrough")
    first = await ada.call(runtime.StartRun(graph="kept", input={"x": 1}))
    asked = played.resolved
    assert (await ada.call(runtime.StartRun(graph="kept", input={"x": 1}))).digest == first.digest
    assert played.resolved == asked

    played.graphs["kept"] = graph_of("passthrough", "passthrough")
    changed = catalog.VersionActivated(ada.org_id, uuid4(), "production", 2)
    played.bus.publish(event_type_of(catalog.VersionActivated).subject_at_once(changed), b"{}")
    await played.bus.flush(5)

    assert (await ada.call(runtime.StartRun(graph="kept", input={"x": 1}))).digest != first.digest
