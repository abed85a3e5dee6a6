"""Triggers on real servers: effective as the catalog says, fired once for each occasion, and telling why not."""

from __future__ import annotations

import base64
import json
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import msgspec
import pytest

from polis.proto import Refused, catalog, runtime
from polis.proto.problems import Forbidden, Malformed, Unavailable
from polis.proto.runtime import HookRefused, HookUnknown, NoToken, TriggerNotFound
from polis.proto.trigger import (
    MAX_DEPTH,
    Manual,
    OnEvent,
    OnRunEnd,
    Schedule,
    TriggerSpec,
    Webhook,
)
from polis.runtime.triggers import clock, hooks
from polis.runtime.triggers.signatures import sign
from polis.runtime.triggers.stand_in import StandIn
from polis.testing import eventually

from .conftest import KEY

FAR = Schedule(at=("2999-01-01T00:00",))


@pytest.fixture
def with_triggers(graph_of):
    def make(component="passthrough", **triggers):
        return msgspec.structs.replace(graph_of(component), triggers=triggers)

    return make


async def test_the_active_version_says_which_triggers_there_are(
    ada, active, with_triggers, trigger_of, refused
):
    first = with_triggers(stays=TriggerSpec(FAR, into="x"), goes=TriggerSpec(Manual(), {"x": 1}))
    resource = await active.activate(ada, "replaced", first)
    stays, goes = await trigger_of(ada, "stays"), await trigger_of(ada, "goes")
    await ada.call(runtime.PauseTrigger(stays.id))

    second = with_triggers(
        stays=TriggerSpec(Schedule(every_s=3600), into="x"), new=TriggerSpec(Manual(), {"x": 2})
    )
    await active.activate(ada, "replaced", second, resource_id=resource, number=2)
    new = await trigger_of(ada, "new")

    kept = await ada.call(runtime.GetTrigger(stays.id))
    assert (kept.id, kept.number, kept.kind) == (stays.id, 2, "schedule")
    assert kept.spec == {"on": {"kind": "schedule", "every_s": 3600}, "into": "x"}
    assert (kept.paused_by, kept.created_at) == (ada.principal_id, stays.created_at)
    assert (await ada.call(runtime.GetTrigger(goes.id))).ended_at is not None
    assert [t.name for t in (await ada.call(runtime.ListTriggers(graph="replaced"))).items] == [
        "stays",
        "new",
    ]
    assert await refused(ada.call(runtime.FireTrigger(goes.id))) == TriggerNotFound(goes.id)

    await active.activate(
        ada, "replaced", second, resource_id=resource, number=2, status="deprecated", told=False
    )
    await active.tell(catalog.ResourceChanged(ada.org_id, resource, "org", "deprecated"))
    await eventually(lambda: _ended(ada, new.id), within_s=10)
    await active.activate(ada, "replaced", second, resource_id=resource, number=2, told=False)
    await active.tell(catalog.ResourceChanged(ada.org_id, resource, "org", "published"))
    assert (await trigger_of(ada, "new")).id == new.id
    await active.deactivate(ada, resource)
    await eventually(lambda: _ended(ada, new.id), within_s=10)


async def _ended(person, trigger_id):
    return (await person.call(runtime.GetTrigger(trigger_id))).ended_at


async def test_what_was_never_heard_is_found_when_a_process_starts(
    stage, ada, active, with_triggers, trigger_of
):
    """Also what is known of an activation only since: by what token it was activated was not written down once."""
    await active.activate(ada, "unheard", with_triggers(silent=TriggerSpec(FAR, into="x")), told=False)
    graph = with_triggers(early=TriggerSpec(FAR, into="x"))
    resource = await active.activate(ada, "early", graph, scopes=())
    await trigger_of(ada, "early", lambda t: t.error is not None)
    await active.activate(ada, "early", graph, resource_id=resource, told=False)

    await stage.start("runtime", instance="another", lease_s=1.0)

    assert (await trigger_of(ada, "silent")).next_at == datetime(2999, 1, 1, tzinfo=UTC)
    await trigger_of(ada, "early", lambda t: t.error is None)


async def test_a_slot_fires_once_although_two_processes_look_and_the_run_says_what_for(
    second, ada, active, with_triggers, trigger_of, runs_of
):
    graph = with_triggers(often=TriggerSpec(Schedule(every_s=1), into="x"))
    resource = await active.activate(ada, "often", graph)
    trigger = await trigger_of(ada, "often", lambda t: t.fired >= 2)
    await active.deactivate(ada, resource)
    await eventually(lambda: _ended(ada, trigger.id), within_s=10)

    runs = await runs_of(trigger.id)
    assert len(runs) == len({run["occurrence"] for run in runs}) >= 2
    run = await ada.call(runtime.GetRun(runs[0]["id"]))
    assert run.trigger == runtime.TriggeredBy(trigger.id, runs[0]["occurrence"])
    assert (run.actor_id, run.started_by) == (ada.principal_id, ada.principal_id)
    assert json.loads(runs[0]["input"]) == {"x": {"trigger": "often", "at": runs[0]["occurrence"]}}
    told = await ada.call(runtime.GetTrigger(trigger.id))
    assert (told.last_run_id, told.last_occurrence, told.error) == (
        runs[-1]["id"],
        runs[-1]["occurrence"],
        None,
    )
    assert told.fired == len(runs)


async def test_many_that_are_overdue_fire_by_their_policies_each_slot_once(
    second, ada, active, with_triggers, trigger_of, sql
):
    """As after an outage of an hour, with two processes that come back at once."""
    policies = ("skip", "once", "all")
    for policy in policies:
        made = {
            f"{policy}{n}": TriggerSpec(Schedule(every_s=600, missed=policy), into="x") for n in range(15)
        }
        await active.activate(ada, policy, with_triggers(**made))
        await trigger_of(ada, f"{policy}14")

    now = datetime.now(UTC).timestamp()
    slot = datetime.fromtimestamp((int(now) // 600 - 6) * 600, UTC)
    on_time = now % 600 <= 60
    await sql.execute(
        "update runtime.triggers set slot_at = $2, due_at = $2 where org_id = $1 and ended_at is null",
        ada.org_id,
        slot,
    )

    async def settled():
        left = await sql.fetchval(
            "select count(*) from runtime.triggers where org_id = $1 and slot_at <= now()", ada.org_id
        )
        return left == 0

    await eventually(settled, within_s=30)
    rows = await sql.fetch(
        "select t.name, r.occurrence from runtime.triggers t join runtime.runs r on r.trigger_id = t.id where t.org_id = $1",
        ada.org_id,
    )
    assert max(Counter((row["name"], row["occurrence"]) for row in rows).values()) == 1
    fired = Counter(row["name"] for row in rows)
    expected = {"skip": int(on_time), "once": 1, "all": 7}
    assert fired == Counter({f"{p}{n}": expected[p] for p in policies for n in range(15) if expected[p]})
    skipped = await trigger_of(ada, "skip3")
    assert (
        (skipped.skipped, skipped.error and skipped.error.kind) == (0, None)
        if on_time
        else (1, "trigger.missed")
    )


async def test_somebody_who_may_not_starts_nothing_and_the_trigger_says_why(
    actors, ada, active, with_triggers, trigger_of, runs_of
):
    graph = with_triggers(mine=TriggerSpec(Schedule(every_s=1), into="x"))
    gone = actors.person("member", org_id=ada.org_id)
    gone.caller = ada.caller
    actors.gone.add(gone.principal_id)
    resource = await active.activate(gone, "gone", graph)

    trigger = await trigger_of(ada, "mine", lambda t: t.refused >= 1)

    assert (trigger.error.kind, trigger.fired) == ("/problems/identity/principal-not-found", 0)
    assert not await runs_of(trigger.id)
    actors.gone.discard(gone.principal_id)
    again = await trigger_of(ada, "mine", lambda t: t.fired >= 1)
    assert again.error is None
    await active.deactivate(gone, resource)


async def test_a_trigger_may_do_no_more_than_the_token_that_activated_it(
    ada, active, with_triggers, trigger_of
):
    graph = with_triggers(narrow=TriggerSpec(Schedule(every_s=1), into="x"))
    resource = await active.activate(ada, "narrow", graph, scopes=("catalog:write", "catalog:read"))

    trigger = await trigger_of(ada, "narrow", lambda t: t.refused)

    assert (trigger.error.kind, trigger.fired) == ("/problems/forbidden", 0)
    assert "runtime:run" in trigger.error.message
    await active.deactivate(ada, resource)


async def test_a_trigger_is_fired_by_hand_with_the_rights_of_whoever_does_it(
    actors, ada, active, with_triggers, trigger_of, refused, caller
):
    sarah = actors.agent(ada.org_id, "sarah")
    specs = {
        "own": TriggerSpec(Manual(), {"x": 1}),
        "hers": TriggerSpec(Manual(), {"x": 1}, agent="sarah"),
    }
    await active.activate(ada, "hand", with_triggers(**specs))
    own, hers = await trigger_of(ada, "own"), await trigger_of(ada, "hers")
    viewer, cem = actors.person("viewer", org_id=ada.org_id), actors.person("agent", org_id=ada.org_id)
    viewer.caller = cem.caller = caller

    run = await ada.call(runtime.FireTrigger(own.id, {"x": 5}))
    acting = await ada.call(runtime.FireTrigger(hers.id), key="once")

    assert (await ada.call(runtime.GetOutput(run.id))).values == {"y": [5]}
    assert (await ada.call(runtime.GetRun(run.id))).trigger.id == own.id
    assert (hers.acts_as, acting.actor_id, acting.started_by) == (sarah.id, sarah.id, ada.principal_id)
    assert await ada.call(runtime.FireTrigger(hers.id), key="once") == acting
    assert (await ada.call(runtime.GetTrigger(hers.id))).fired == 1
    assert await refused(viewer.call(runtime.FireTrigger(own.id))) == Forbidden(scope="runtime:run")
    assert await refused(cem.call(runtime.FireTrigger(hers.id))) == Forbidden(scope="runtime:run")


async def test_a_slot_waits_for_what_passes(ada, active, with_triggers, trigger_of, runs_of, monkeypatch):
    """Identity is away when the slot is due: the same slot fires when it is back."""
    monkeypatch.setattr(clock, "_RETRY_S", 0.05)
    context, asked = StandIn.context, []

    async def away(self, own, request, *of):
        asked.append(request.graph)
        if asked.count("waits") in (2, 3):  # the first time it is activated
            raise Refused(Unavailable(dependency="identity"))
        return await context(self, own, request, *of)

    monkeypatch.setattr(StandIn, "context", away)
    due = (datetime.now(UTC) + timedelta(seconds=8)).replace(microsecond=0)
    at = due.isoformat()[:19]
    await active.activate(ada, "waits", with_triggers(waits=TriggerSpec(Schedule(at=(at,)), into="x")))
    assert datetime.now(UTC) < due, "a slot that was due by then would be missed"

    waits = await trigger_of(ada, "waits", lambda t: t.fired)

    assert [run["occurrence"] for run in await runs_of(waits.id)] == [f"{at}Z"]
    assert (asked.count("waits"), waits.refused, waits.next_at) == (4, 0, None)


def signed(trigger_id, body=b'{"n": 1}', message_id="msg_1", at=None, key=KEY, **changes):
    timestamp = str(int(time.time()) if at is None else at)
    post = runtime.ReceiveHook(
        trigger_id,
        body,
        media_type="application/json",
        message_id=message_id,
        timestamp=timestamp,
        signature="v1,AAAA " + sign(key, message_id, timestamp, body),
    )
    return msgspec.structs.replace(post, **changes)


def test_signatures_are_those_of_the_specification():
    """The vector of the specification's reference libraries."""
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")

    signature = sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}')

    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_a_signed_post_starts_a_run_once_and_a_forged_one_learns_nothing(
    ada, active, with_triggers, trigger_of, mesh, refused, runs_of
):
    specs = {"signed": TriggerSpec(Webhook(secret=uuid4(), wait_s=5), into="x")}
    await active.activate(ada, "signed", with_triggers(**specs))
    trigger = await trigger_of(ada, "signed")
    good, now = signed(trigger.id), int(time.time())

    taken = await mesh.call(good)
    again = await mesh.call(good)
    forgeries = (
        signed(uuid4()),
        signed(trigger.id, key=b"another key"),
        msgspec.structs.replace(good, body=b'{"n": 2}'),
        msgspec.structs.replace(good, message_id="msg_2"),
        msgspec.structs.replace(good, timestamp=str(now + 1)),
        signed(trigger.id, message_id="old", at=now - 301),
        signed(trigger.id, message_id="new", at=now + 330),
        signed(trigger.id, message_id="a.1", at=now),
        signed(trigger.id, message_id="none", signature=""),
        signed(trigger.id, message_id="version", signature="v2," + "A" * 44),
    )
    answers = [await refused(mesh.call(forged)) for forged in forgeries]

    assert trigger.hook == f"/api/v1/hooks/{trigger.id}"
    assert (taken.state, taken.output) == ("succeeded", {"y": [{"n": 1}]})
    assert again == taken
    assert [run["id"] for run in await runs_of(trigger.id)] == [taken.run_id]
    assert answers == [HookUnknown()] * len(forgeries)
    assert (await ada.call(runtime.GetTrigger(trigger.id))).error.kind == "hook.forged"
    await ada.call(runtime.PauseTrigger(trigger.id))
    assert await refused(mesh.call(signed(trigger.id, message_id="paused"))) == HookUnknown()
    assert (await ada.call(runtime.ResumeTrigger(trigger.id))).paused_at is None
    assert (await mesh.call(signed(trigger.id, message_id="resumed"))).state == "succeeded"


async def test_a_post_whose_run_was_deleted_starts_no_other_and_is_told_so(
    ada, active, with_triggers, trigger_of, mesh, refused, runs_of
):
    await active.activate(
        ada, "deleted", with_triggers(signed=TriggerSpec(Webhook(secret=uuid4()), into="x"))
    )
    trigger = await trigger_of(ada, "signed")
    post = signed(trigger.id)
    taken = await mesh.call(post)
    await ada.call(runtime.DeleteRun(taken.run_id))

    assert await refused(mesh.call(post)) == HookRefused()
    assert await runs_of(trigger.id) == []


async def test_a_token_of_the_hook_is_shown_once_and_its_predecessor_holds_for_the_overlap(
    ada, active, with_triggers, trigger_of, mesh, refused, sql
):
    specs = {"open": TriggerSpec(Webhook(), into="x"), "hand": TriggerSpec(Manual(), {"x": 1})}
    await active.activate(ada, "token", with_triggers(**specs))
    trigger, hand = await trigger_of(ada, "open"), await trigger_of(ada, "hand")

    def post(token, message_id=""):
        return mesh.call(runtime.ReceiveHook(trigger.id, b"hello", "text/plain", message_id, token=token))

    assert await refused(post("")) == HookUnknown()
    first = await ada.call(runtime.RotateHookToken(trigger.id))
    taken = await post(first.token, "one")
    second = await ada.call(runtime.RotateHookToken(trigger.id, overlap_s=3600))
    assert (await post(first.token, "one")).run_id == taken.run_id
    assert (await post(second.token)).run_id != taken.run_id
    third = await ada.call(runtime.RotateHookToken(trigger.id, overlap_s=0))

    assert taken.output is None
    assert await refused(post(first.token)) == await refused(post(second.token)) == HookUnknown()
    assert await post(third.token)
    assert await refused(ada.call(runtime.RotateHookToken(hand.id))) == NoToken()
    assert (await ada.call(runtime.GetTrigger(trigger.id))).has_token
    kept = await sql.fetchval("select t::text from runtime.triggers t where id = $1", trigger.id)
    assert third.token not in kept
    assert third.token not in repr(third)


async def test_events_of_the_org_fire_when_their_condition_holds_and_each_once(
    actors, ada, active, with_triggers, trigger_of, runs_of, tell, caller
):
    specs = {
        "steps": TriggerSpec(
            OnEvent("runtime.event_told", condition="event.data.type == 'step' && event.data.data.n > 1"),
            into="x",
        ),
        "broken": TriggerSpec(
            OnEvent("runtime.event_told", condition="event.data.data.nothing == 1"), into="x"
        ),
    }
    await active.activate(ada, "events", with_triggers(**specs))
    steps, other = await trigger_of(ada, "steps"), actors.person("member")
    other.caller = caller
    await followed(ada, active, with_triggers, trigger_of)

    await other.call(runtime.TellEvent("step", {"n": 5}))
    for kind, n in (("step", 1), ("done", 2), ("step", 2)):
        told = await ada.call(runtime.TellEvent(kind, {"n": n}, agent="sarah"))
    steps = await trigger_of(ada, "steps", lambda t: t.fired)
    broken = await trigger_of(ada, "broken", lambda t: t.skipped >= 3)

    (run,) = await runs_of(steps.id)
    value = json.loads(run["input"])["x"]
    assert (value["type"], value["entity"]) == ("runtime.event_told", str(told.id))
    assert (value["data"]["data"], value["data"]["agent"]) == ({"n": 2}, "sarah")
    assert run["occurrence"] == value["id"]
    assert (broken.error.kind, broken.fired) == ("expression.failed", 0)


async def followed(person, active, with_triggers, trigger_of):
    """Return when told events reach the runtime: the consumer of a new kind of event is made a moment later."""
    probe = TriggerSpec(
        OnEvent("runtime.event_told", condition="event.data.type == 'probe'", throttle_s=3600), into="x"
    )
    await active.activate(person, "probe", with_triggers(probe=probe))
    await trigger_of(person, "probe")

    async def heard():
        await person.call(runtime.TellEvent("probe"))
        page = await person.call(runtime.ListTriggers(graph="probe"))
        return page.items[0].skipped

    await eventually(heard, within_s=10)


async def test_events_that_follow_each_other_fire_once_with_the_last_and_throttled_ones_fire_the_first(
    ada, active, with_triggers, trigger_of, runs_of
):
    of_step = "event.data.type == 'step'"
    specs = {
        "quiet": TriggerSpec(OnEvent("runtime.event_told", of_step, debounce_s=1.5), into="x"),
        "seldom": TriggerSpec(OnEvent("runtime.event_told", of_step, throttle_s=3600), into="x"),
    }
    await active.activate(ada, "debounced", with_triggers(**specs))
    await trigger_of(ada, "seldom")
    await followed(ada, active, with_triggers, trigger_of)

    for n in range(4):
        await ada.call(runtime.TellEvent("step", {"n": n}))
    quiet = await trigger_of(ada, "quiet", lambda t: t.fired)
    seldom = await trigger_of(ada, "seldom", lambda t: t.skipped == 3)

    assert [json.loads(run["input"])["x"]["data"]["data"] for run in await runs_of(quiet.id)] == [{"n": 3}]
    assert len(await runs_of(seldom.id)) == seldom.fired == 1
    assert (quiet.next_at, quiet.error) == (None, None)


async def test_the_end_of_a_run_starts_another_and_a_loop_of_them_ends(
    ada, active, with_triggers, trigger_of, runs_of, played, graph_of, sql
):
    played.graphs["fails"] = graph_of("passthrough", "split")
    specs = {
        "after": TriggerSpec(OnRunEnd("fails", ("failed",)), into="x"),
        "again": TriggerSpec(OnRunEnd("chain"), into="x"),
    }
    await active.activate(ada, "chain", with_triggers(**specs))
    after = await trigger_of(ada, "after")

    async def started():
        await ada.call(runtime.StartRun(graph="fails", input={"x": "no list"}))
        return await runs_of(after.id)

    await eventually(started, within_s=10)
    again = await trigger_of(ada, "again", lambda t: t.error)

    value = json.loads((await runs_of(after.id))[0]["input"])["x"]
    assert (value["graph"], value["state"], value["error"]["step"]) == ("fails", "failed", "n1")
    assert again.error.kind == "trigger.too_deep"
    depths = [run["chain"] for run in await runs_of(again.id)]
    assert max(depths) == MAX_DEPTH
    (output,) = json.loads((await runs_of(again.id))[0]["input"])["x"]["output"]["y"]
    assert output.keys() == value.keys()


@pytest.mark.parametrize("debounce_s", [None, 0.02])
async def test_events_of_runs_that_start_runs_go_in_no_circle(
    ada, active, with_triggers, trigger_of, runs_of, debounce_s
):
    echo = OnEvent("runtime.run_succeeded", debounce_s=debounce_s)
    await active.activate(ada, "echo", with_triggers(echo=TriggerSpec(echo, into="x")))
    trigger = await trigger_of(ada, "echo")

    async def started():
        await ada.call(runtime.FireTrigger(trigger.id, {"x": 1}))
        return [run for run in await runs_of(trigger.id) if run["chain"]]

    await eventually(started, within_s=10)
    ended = await trigger_of(ada, "echo", lambda t: t.error)

    assert ended.error.kind == "trigger.too_deep"
    assert max(run["chain"] or 0 for run in await runs_of(trigger.id)) == MAX_DEPTH


def test_a_body_is_nested_as_deeply_as_other_bodies_may_be():
    def nested(depth):
        return b"[" * (depth - 1) + b"{}" + b"]" * (depth - 1)

    assert hooks.content(nested(64), "application/json") == msgspec.json.decode(nested(64))
    with pytest.raises(Refused) as refusal:
        hooks.content(nested(65), "application/json")
    assert isinstance(refusal.value.problem, Malformed)


@pytest.mark.parametrize("body", [b"{", b'{"name": "\xff"}'])
def test_a_body_that_is_called_json_and_is_none_is_refused(body):
    with pytest.raises(Refused) as refusal:
        hooks.content(body, "application/json")

    assert isinstance(refusal.value.problem, Malformed)
