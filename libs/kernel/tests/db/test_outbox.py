"""Outbox and inbox: events commit with their rows, in order, and are told apart when they come twice."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from uuid import UUID, uuid4

import msgspec
import pytest

from polis.db import GroupCommit, outbox, retention
from polis.db.horizon import Gap, Horizon
from polis.db.leadership import Lead, lead
from polis.proto import Refused
from polis.proto.catalog import ResourceCreated
from polis.proto.problems import Unavailable
from polis.telemetry import trace
from polis.testing import eventually

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

END_THE_LEADER = """
    select pg_terminate_backend(a.pid) from pg_stat_activity a join pg_locks l on l.pid = a.pid
    where l.locktype = 'advisory' and l.granted and a.application_name = 'polis-notebook-relay'
"""


def created(org, key="k", resource=None):
    return ResourceCreated(org, resource or uuid4(), "graph", key)


@pytest.fixture
async def emptied(admin):
    """The outbox is one for all tests; those that look at the whole of it begin with none."""
    await admin.execute(
        "truncate notebook.outbox restart identity; delete from notebook.published; delete from notebook.relay; delete from notebook.inbox"
    )


@pytest.fixture
async def leading(database, monkeypatch):
    monkeypatch.setattr("polis.db.leadership.POLL_S", 0.02)
    async with lead(database, "relay") as leading:
        yield leading


@pytest.fixture
def waiting(leading):
    """What a relay that begins now would publish."""

    async def waiting(limit=100):
        rows, _ = await outbox.pending(leading, await outbox.position(leading, "S"), limit=limit)
        return rows

    return waiting


@pytest.fixture
def publish(leading, waiting):
    """Record the first that wait as published from a place on; the position behind them."""

    async def publish(count, *, first_seq):
        return await outbox.mark_published(
            leading,
            await waiting(count),
            first_seq=first_seq,
            position=await outbox.position(leading, "S"),
        )

    return publish


@pytest.fixture
def emit(database, org):
    async def emit(*events):
        async with database.transaction([events[0].org_id]) as tx:
            return [await tx.emit(event) for event in events]

    return emit


@pytest.mark.parametrize("count", [2, 20], ids=["few", "many"])
async def test_events_commit_with_their_transaction_in_the_order_of_emission(
    emptied, org, emit, count, waiting
):
    events = [created(org, f"k{n}") for n in range(count)]

    ids = await emit(*events)

    rows = await waiting(100)
    assert [row.id for row in rows] == ids
    assert [msgspec.json.decode(row.payload, type=ResourceCreated) for row in rows] == events
    assert [row.n for row in rows] == sorted(row.n for row in rows)


@pytest.mark.parametrize("count", [1, 10], ids=["few", "many"])
async def test_an_event_is_kept_byte_for_byte_with_what_led_to_it(emptied, org, emit, count, waiting):
    event = created(org, 'it\'s a \\ "key"; drop table notebook.outbox; --')
    with trace.enter(trace.parse(TRACE)) as here:
        ids = await emit(*[event] * count)

    row = (await waiting(20))[-1]

    assert row.id == ids[-1]
    assert row.subject == f"event.catalog.resource_created.{org}.{event.resource_id}"
    assert (row.fact, row.entity) == ("resource_created", str(event.resource_id))
    assert row.payload == msgspec.json.encode(event)
    assert row.trace == here.header


async def test_events_of_a_group_belong_to_the_traces_of_their_callers(emptied, database, org, waiting):
    async def write(tx, callers, keys):
        for caller, key in zip(callers, keys, strict=True):
            await tx.emit(created(caller.org_id, key), trace=caller.trace)
        return keys

    async def ask(key):
        with trace.enter(trace.start()) as here:
            await commits.put(org, key)
        return here.header

    commits = GroupCommit(database, write)
    asked = await asyncio.gather(*(ask(f"k{n}") for n in range(10)))

    assert [row.trace for row in await waiting(100)] == asked


async def test_an_undone_transaction_emits_nothing(emptied, database, org, waiting):
    async def fail():
        async with database.transaction([org]) as tx:
            await tx.emit(created(org))
            raise LookupError

    with pytest.raises(LookupError):
        await fail()

    assert await waiting(10) == []


async def test_an_event_of_another_org_is_refused(database, org):
    async def smuggle():
        async with database.transaction([org]) as tx:
            await tx.emit(created(uuid4()))

    with pytest.raises(ValueError, match="ResourceCreated of an org"):
        await smuggle()


async def test_a_work_across_orgs_may_tell_each_of_them(emptied, database, waiting):
    orgs = [uuid4(), uuid4()]
    async with database.across_orgs() as tx:
        for org in orgs:
            await tx.emit(created(org))

    rows = await waiting(10)

    assert [row.subject.split(".")[3] for row in rows] == [str(org) for org in orgs]


async def test_who_relays_is_woken_by_every_commit_with_events_and_by_no_other(database, org, emit):
    woken = []
    database.on_emit(lambda _: woken.append(1))

    await emit(created(org), created(org))
    async with database.transaction([org]) as tx:
        await tx.value("select 1")

    assert woken == [1]


async def test_a_row_that_commits_late_is_not_skipped(
    emptied, database, org, emit, waiting, publish, leading
):
    """Numbers are given before the commit: who reads what is behind the last number loses rows."""
    async with database.transaction([org]) as slow:
        await slow.execute(
            "insert into notebook.outbox (id, org_id, subject, fact, entity, payload) values ($1, $2, 's', 'f', 'e', '')",
            uuid4(),
            org,
        )
        await emit(created(org))
        [early] = await waiting()
        position = await publish(1, first_seq=1)
    [behind] = await emit(created(org))

    [late, last], _ = await outbox.pending(leading, position, limit=10)
    [also], _ = await outbox.pending(leading, position, limit=1)

    assert [row.n for row in await waiting()] == [late.n, last.n]
    assert late.n == also.n < early.n < last.n
    assert last.id == behind
    assert (position.last_seq, position.horizon.low) == (1, late.n - 1)


async def test_what_an_undone_transaction_left_open_is_looked_for_until_nobody_can_fill_it(
    emptied, database, org, emit, publish, monkeypatch, leading
):
    monkeypatch.setattr("polis.db.horizon.SETTLE_S", 0.0)
    insert = "insert into notebook.outbox (id, org_id, subject, fact, entity, payload) values ($1, $2, 's', 'f', 'e', '')"
    await emit(created(org))
    await publish(1, first_seq=1)
    with suppress(LookupError):
        async with database.transaction([org]) as undone:
            await undone.execute(insert, uuid4(), org)
            raise LookupError
    async with database.transaction([org]) as slow:
        await slow.execute(insert, uuid4(), org)
        await emit(created(org))
        position = await publish(1, first_seq=2)
        for _ in range(3):
            rows, position = await outbox.pending(leading, position, limit=10)
            assert (rows, len(position.horizon.gaps)) == ([], 1)

    [late], position = await outbox.pending(leading, position, limit=10)
    position = await outbox.mark_published(leading, [late], first_seq=3, position=position)
    _, position = await outbox.pending(leading, position, limit=10)

    assert position.horizon.gaps == ()
    assert position.horizon.low == position.horizon.high == late.n + 1


async def test_published_rows_are_known_by_their_place_in_the_stream(
    emptied, org, emit, waiting, publish, leading
):
    ids = await emit(*(created(org) for _ in range(5)))

    position = await publish(3, first_seq=11)

    again = await outbox.position(leading, "S")
    assert (position.epoch, position.last_seq, position.horizon.high) == (1, 13, again.horizon.high)
    assert [await outbox.id_at(leading, seq) for seq in (10, 11, 12, 13, 14)] == [None, *ids[:3], None]
    assert [row.id for row in await waiting()] == ids[3:]


@pytest.mark.parametrize("kept", [0, 1, 2, 3, 4])
async def test_what_a_stream_lost_is_unpublished_again_under_a_new_epoch(
    kept, emptied, org, emit, waiting, publish, leading
):
    ids = await emit(*(created(org) for _ in range(5)))
    await publish(3, first_seq=1)
    await publish(2, first_seq=4)

    position = await outbox.publish_again(leading, "S", after_seq=kept, last_seq=kept)

    assert (position.epoch, position.last_seq) == (2, kept)
    assert [row.id for row in await waiting()] == ids[kept:]
    assert [await outbox.id_at(leading, seq) for seq in range(1, 6)] == ids[:kept] + [None] * (5 - kept)


async def test_what_an_ended_relay_stored_is_marked_by_its_id(emptied, org, emit, waiting, leading):
    first, second, third = await emit(created(org), created(org), created(org))
    position = await outbox.position(leading, "S")

    position = await outbox.mark_stored(
        leading, [str(first), str(second), None, str(uuid4()), str(third)], position=position
    )

    assert (position.epoch, position.last_seq) == (1, 5)
    assert await waiting() == []
    assert [await outbox.id_at(leading, seq) for seq in (1, 2, 5)] == [first, second, third]


async def test_a_relay_that_lost_its_lead_records_nothing(emptied, org, emit, waiting, leading):
    await emit(created(org), created(org))
    stale = await outbox.position(leading, "S")
    first, second = await waiting(2)
    await outbox.mark_published(leading, [first], first_seq=1, position=stale)

    with pytest.raises(Refused) as refused:
        await outbox.mark_published(leading, [second], first_seq=1, position=stale)

    assert refused.value.problem == Unavailable("postgresql")
    assert [row.id for row in await waiting()] == [second.id]


async def test_a_relay_whose_connection_has_ended_records_nothing_and_the_next_one_goes_on(
    emptied, database, org, emit, leading, admin
):
    await emit(created(org))
    position = await outbox.position(leading, "S")
    rows, _ = await outbox.pending(leading, position, limit=10)

    await admin.execute(END_THE_LEADER)
    async with lead(database, "relay") as following:
        with pytest.raises(Refused) as refused:
            await outbox.mark_published(leading, rows, first_seq=1, position=position)
        again, _ = await outbox.pending(following, await outbox.position(following, "S"), limit=10)
        position = await outbox.mark_published(following, again, first_seq=1, position=position)

    assert refused.value.problem == Unavailable("postgresql")
    assert not leading()
    assert (again, position.last_seq) == (rows, 1)


async def test_what_a_leader_states_together_holds_as_a_whole(emptied, leading, waiting, admin):
    await waiting()

    async def fail():
        async with leading.transaction(within_s=5):
            await leading.fetch("update notebook.relay set epoch = 7")
            raise LookupError

    with pytest.raises(LookupError):
        await fail()

    assert not leading()
    assert await admin.fetchval("select epoch from notebook.relay") == 1


async def test_one_of_many_leads_and_the_next_follows_when_its_connection_ends(
    open_database, admin, monkeypatch
):
    monkeypatch.setattr("polis.db.leadership.POLL_S", 0.02)
    leading, released = asyncio.Queue(), asyncio.Event()

    async def replica():
        database = await open_database(size=1)
        async with lead(database, "relay") as still:
            leading.put_nowait(still)
            await released.wait()

    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(replica())
        first = await leading.get()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(leading.get(), 0.1)
        assert first()
        await admin.execute(END_THE_LEADER)
        second = await leading.get()
        assert second()
        await eventually(lambda: not first())
        released.set()


async def test_an_event_is_taken_for_the_first_time_once_for_each_consumer(database, org):
    event_id = uuid4()

    async def take(consumer):
        async with database.transaction([org]) as tx:
            return await tx.first_time(consumer, event_id)

    assert [await take(c) for c in ("a", "a", "b")] == [True, False, True]


async def test_an_effect_that_failed_is_to_be_taken_again(database, org):
    event_id = uuid4()

    async def fail():
        async with database.transaction([org]) as tx:
            assert await tx.first_time("a", event_id)
            raise LookupError

    for _ in range(2):
        with pytest.raises(LookupError):
            await fail()


async def test_one_event_delivered_twice_at_once_has_one_effect(database, org):
    event_id = uuid4()

    async def take():
        async with database.transaction([org]) as tx:
            first = await tx.first_time("a", event_id)
            await asyncio.sleep(0)
            return first

    assert sorted(await asyncio.gather(*(take() for _ in range(6)))) == [False] * 5 + [True]


async def test_rows_are_kept_for_their_time_and_go_in_bounded_pieces(
    emptied, database, org, emit, waiting, publish, admin, leading
):
    await emit(*(created(org) for _ in range(25)))
    for first in range(1, 21, 5):
        await publish(5, first_seq=first)
    async with database.transaction([org]) as tx:
        for _ in range(3):
            await tx.first_time("a", uuid4())
    await admin.execute(
        "update notebook.published set at = now() - interval '25 hours' where first_seq <= 11"
    )
    await admin.execute("update notebook.outbox set created_at = now() - interval '9 days'")
    await admin.execute(
        "update notebook.inbox set at = now() - interval '7 days 1 hour' where ctid = (select min(ctid) from notebook.inbox)"
    )
    await admin.execute(
        "update notebook.inbox set at = now() - interval '9 days' where ctid = (select max(ctid) from notebook.inbox)"
    )

    deleted = await retention.sweep(database, batch=4)

    assert (deleted["outbox"], deleted["inbox"]) == (15, 1)
    assert len(await waiting()) == 5
    assert isinstance(await outbox.id_at(leading, 16), UUID)
    assert await outbox.id_at(leading, 15) is None


async def test_what_may_be_in_a_gap_is_looked_for_there_and_not_in_all_that_is_kept(
    emptied, leading, admin, monkeypatch
):
    stated, fetch = [], Lead.fetch

    async def recorded(lead, sql, *args):
        stated.append((sql, args))
        return await fetch(lead, sql, *args)

    await admin.execute(
        "insert into notebook.outbox (id, org_id, subject, fact, entity, payload)"
        " select gen_random_uuid(), gen_random_uuid(), 's', 'f', 'e', '' from generate_series(1, 5000);"
        " analyze notebook.outbox"
    )
    position = await outbox.position(leading, "S")
    monkeypatch.setattr(Lead, "fetch", recorded)

    missing = Horizon(6_000, (Gap(5_001, 5_002, 0, 0.0),))
    rows, _ = await outbox.pending(leading, msgspec.structs.replace(position, horizon=missing), limit=1)

    [(sql, args)] = stated
    todo = [json.loads(await admin.fetchval(f"explain (format json) {sql}", *args))[0]["Plan"]]
    scans = []
    while todo:
        node = todo.pop()
        todo += node.get("Plans", [])
        scans += [node] if node.get("Relation Name") == "outbox" else []
    assert rows == []
    assert len(scans) == 2
    assert [scan["Node Type"] for scan in scans if "Index Cond" not in scan] == []
