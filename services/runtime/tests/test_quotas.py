"""Runs and quotas: only an org that has one for runs is asked about, and then nothing starts that identity did not count."""

from __future__ import annotations

import time
from uuid import uuid4

import msgspec
import pytest

from polis.bus.permissions import ADMIN
from polis.db import Deadline
from polis.proto import Refused, runtime
from polis.proto.identity import (
    QuotaRemoved,
    QuotaSet,
    ReserveUsage,
    Subject,
)
from polis.proto.problems import DeadlineExceeded, Overloaded, Unavailable
from polis.service.bounded import Bounded
from polis.service.ledger import WAIT_S
from polis.testing import eventually
from polis.testing.usage import PlayedUsage


@pytest.fixture(scope="module")
async def played_usage(stage):
    return await PlayedUsage.on(await stage.bus(ADMIN), "runs")


@pytest.fixture
def usage(played_usage):
    played_usage.begin()
    return played_usage


@pytest.fixture
def bound(tell, admin):
    """Tell of a quota of the org; its id."""

    async def bound(org_id, meter="runs"):
        quota_id = uuid4()
        await tell(QuotaSet(org_id, quota_id, Subject("org"), meter, "day", 7))
        return quota_id

    async def known(org_id, meter="runs"):
        quota_id = await bound(org_id, meter)
        await eventually(lambda: admin.fetchval("select id from runtime.quotas where id = $1", quota_id))
        return quota_id

    known.told = bound
    return known


@pytest.fixture
def start(played, graph_of):
    played.graphs["counted"] = graph_of("passthrough")
    return runtime.StartRun(graph="counted", input={"x": 1})


async def test_an_org_without_a_quota_for_runs_is_not_asked_about(ada, usage, bound, start, actors):
    other = actors.person("member")
    await bound.told(ada.org_id, "tokens")
    await bound(other.org_id)

    assert (await ada.call(start)).state == "succeeded"
    assert usage.reserved == []


async def test_a_run_counts_for_whom_it_acts_as_for_who_started_it_and_for_the_key(
    ada, actors, usage, bound, start, caller, running
):
    await bound(ada.org_id)
    agent, key_id = actors.agent(ada.org_id, "sarah"), uuid4()
    by_key = actors.person("member", org_id=ada.org_id, act={"sub": f"key:{key_id}"})
    by_key.caller = caller

    run = await by_key.call(msgspec.structs.replace(start, agent="sarah"))

    assert usage.reserved == [
        ReserveUsage(ada.org_id, run.id, agent.id, "runs", 1, key_id=key_id, behalf_id=by_key.principal_id)
    ]
    await eventually(lambda: usage.told() == {run.id: 1})
    # What another replica knows when it starts.
    fresh = Bounded(running.kernel, "runs")
    assert await fresh.has(ada.org_id, Deadline.after(5))


async def test_a_quota_that_is_removed_is_asked_for_no_more(ada, usage, bound, start, tell):
    quota_id = await bound(ada.org_id)
    await ada.call(start)
    assert len(usage.reserved) == 1

    await tell(QuotaRemoved(ada.org_id, quota_id))

    async def unasked():
        before = len(usage.reserved)
        await ada.call(start)
        return len(usage.reserved) == before

    await eventually(unasked)


async def test_a_run_beyond_the_quota_is_refused_with_what_bounds_it_and_is_not_there(
    ada, usage, bound, start, refused
):
    await bound(ada.org_id)
    usage.left = 1
    run = await ada.call(start)

    assert await refused(ada.call(start)) == usage.over
    assert [r.id for r in (await ada.call(runtime.ListRuns())).items] == [run.id]


async def test_a_repeat_counts_once_and_has_its_answer_when_nothing_is_left(
    ada, usage, bound, start, refused
):
    await bound(ada.org_id)
    run = await ada.call(start, key="k")

    assert await ada.call(start, key="k") == run
    again = usage.reserved[1].reservation_id
    await eventually(lambda: usage.told() == {run.id: 1, again: 0})

    usage.left = 0
    assert await ada.call(start, key="k") == run
    assert await refused(ada.call(start, key="another")) == usage.over


async def test_while_identity_is_silent_an_org_with_a_quota_starts_nothing_and_is_told_soon(
    ada, usage, bound, start, refused
):
    await bound(ada.org_id)
    usage.silent = True
    began = time.monotonic()

    assert await refused(ada.call(start)) == Unavailable(dependency="identity")

    assert time.monotonic() - began < WAIT_S + 5
    assert (await ada.call(runtime.ListRuns())).items == ()
    lost = usage.reserved[0].reservation_id
    await eventually(lambda: usage.told() == {lost: 0})


async def test_an_attempt_counts_unless_it_has_certainly_come_to_nothing(
    ada, usage, bound, start, refused, monkeypatch
):
    await bound(ada.org_id)

    async def fail(problem):
        async def admit(journal, admission, *, deadline=None):
            raise Refused(problem)

        monkeypatch.setattr("polis.runtime.shell.journal.Journal.admit", admit)
        assert await refused(ada.call(start)) == problem
        return usage.reserved[-1].reservation_id

    unsure = await fail(DeadlineExceeded())
    certain = await fail(Overloaded(retry_after_s=1.0))

    await eventually(lambda: usage.told() == {certain: 0})
    assert unsure not in usage.told()
