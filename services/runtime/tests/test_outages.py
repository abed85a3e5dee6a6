"""What goes away for a moment delays runs and breaks none; what is too much waits."""

from __future__ import annotations

from uuid import uuid4

from polis.proto import runtime
from polis.proto.graph import Edge, Graph, GraphInput, GraphOutput, Node
from polis.testing import eventually

MAILBOX = Graph(
    nodes={"read": Node("mail.read_mailbox"), "all": Node("collect")},
    edges=(Edge("read.mail", "all.in"),),
    inputs={"mailbox": GraphInput("read.mailbox")},
    outputs={"mails": GraphOutput("all.out")},
)


async def ended(person, run, within_s=10.0):
    async def look():
        found = await person.call(runtime.GetRun(run_id=run.id))
        return found if found.state in runtime.TERMINAL else None

    return await eventually(look, within_s=within_s)


async def test_runs_go_on_when_every_connection_to_the_database_breaks(ada, admin, played, effects, graph_of):
    played.graphs["breaks"] = graph_of("split", "test.effect", "collect")
    effects.gate.clear()
    runs = [await ada.call(runtime.StartRun(graph="breaks", input={"x": [n] * 20})) for n in range(10)]

    effects.gate.set()
    for done in (0, 40, 80, 120, 160):
        await eventually(lambda done=done: len(effects.keys) >= done)
        await admin.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where usename = 'app_runtime' and datname = current_database()"
        )

    for n, run in enumerate(runs):
        assert (await ended(ada, run)).state == "succeeded"
        assert (await ada.call(runtime.GetOutput(run_id=run.id))).values == {"y": [[n] * 20]}
        watched = await ada.call(runtime.WatchRun(run_id=run.id, after=0))
        assert [t.seq for t in watched.transitions] == list(range(1, watched.seq + 1))
    recorded = await admin.fetchval(
        "select count(*) from runtime.journal where run_id = any($1)", [run.id for run in runs]
    )
    facts = await admin.fetch(
        "select fact, count(*) from runtime.outbox where entity = any($1) group by fact",
        [str(run.id) for run in runs],
    )
    assert recorded == 200
    assert dict(facts) == {"run_started": 10, "run_succeeded": 10}


async def test_a_download_that_breaks_is_taken_up_where_it_broke(ada, played):
    mail = (
        "From a@example.org Mon Jan  5 10:00:00 2026\nFrom: a@example.org\nSubject: {}\n\n" + "text " * 2000
    )
    file = uuid4()
    played.files[file] = "\n\n".join(mail.format(n) for n in range(40)).encode()
    played.graphs["mails"] = MAILBOX
    played.cuts = [2, 0, 4]

    run = await ada.call(runtime.StartRun(graph="mails", input={"mailbox": {"artifact_id": str(file)}}))

    assert (await ended(ada, run)).error is None
    mails = (await ada.call(runtime.GetOutput(run_id=run.id))).values["mails"]
    assert [m["subject"] for m in mails] == [str(n) for n in range(40)]
    assert played.cuts == []


async def test_a_token_that_was_ended_before_its_time_is_replaced(ada, played):
    """As when the role of the one that a run acts as has changed: it may still act, with another token."""
    file = uuid4()
    played.files[file] = b"From a@example.org Mon Jan  5 10:00:00 2026\nFrom: a@example.org\n\ntext\n"
    played.graphs["mails"] = MAILBOX
    request = runtime.StartRun(graph="mails", input={"mailbox": {"artifact_id": str(file)}})
    assert (await ended(ada, await ada.call(request))).state == "succeeded"
    played.ended.add(played.tokens[-1])

    assert (await ended(ada, await ada.call(request))).error is None
    assert played.tokens[-1] not in played.ended


async def test_a_file_that_is_no_file_fails_the_step(ada, played):
    played.graphs["mails"] = MAILBOX

    run = await ada.call(
        runtime.StartRun(graph="mails", input={"mailbox": {"artifact_id": "../../etc/passwd"}})
    )

    found = await ended(ada, run)
    assert (found.state, found.error.step) == ("failed", "read")


async def test_more_runs_than_a_process_executes_at_once_wait_and_are_all_executed(
    ada, played, effects, graph_of, monkeypatch
):
    monkeypatch.setattr(
        "polis.runtime.shell.executor.Executor.room", property(lambda self: max(0, 3 - len(self._runs)))
    )
    played.graphs["many"] = graph_of("test.effect")
    effects.gate.clear()

    runs = [await ada.call(runtime.StartRun(graph="many", input={"x": n})) for n in range(12)]
    assert [run.state for run in runs].count("queued") >= 9
    effects.gate.set()

    for n, run in enumerate(runs):
        assert (await ended(ada, run)).state == "succeeded"
        assert (await ada.call(runtime.GetOutput(run_id=run.id))).values == {"y": [n]}
    assert len(effects.keys) == 12


async def test_a_long_computation_does_not_keep_others_waiting(ada, played, graph_of):
    """200,000 messages through functions take their time, 3 ms of it at once."""
    played.graphs["long"] = graph_of("split", "passthrough", "passthrough", "filter")
    played.graphs["long"].nodes["n3"] = Node("filter", config={"expression": "item < 0"})
    played.graphs["short"] = graph_of("passthrough")
    served = 0

    run = await ada.call(runtime.StartRun(graph="long", input={"x": list(range(50_000))}))
    while (await ada.call(runtime.GetRun(run_id=run.id))).state == "running":
        await ada.call(runtime.StartRun(graph="short", input={"x": 1}))
        served += 1

    assert (await ended(ada, run)).state == "succeeded"
    assert served > 10  # where others had to wait for it, one or two would have been


async def test_a_run_whose_acceptance_was_committed_but_never_confirmed_is_executed(
    ada, admin, played, graph_of
):
    """As when the connection breaks between commit and answer: it is this process's run, and nobody executes it."""
    played.graphs["lost"] = graph_of("passthrough")
    run = await ada.call(runtime.StartRun(graph="lost", input={"x": 1}))
    await admin.execute(
        """
        update runtime.runs set state = 'running', ended_at = null, output = null,
            created_at = created_at - interval '1 minute', owner = (select incarnation from runtime.instances)
        where id = $1
        """,
        run.id,
    )

    assert (await ended(ada, run)).state == "succeeded"
    assert (await ada.call(runtime.GetOutput(run_id=run.id))).values == {"y": [1]}
