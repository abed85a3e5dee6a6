"""What is said to an agent starts one run, in the words that were said; what is said to others, or by itself, starts none."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID, uuid4

import msgspec
import pytest

from polis.bus.jetstream import store
from polis.bus.permissions import ADMIN
from polis.proto import messaging as m
from polis.proto import runtime
from polis.proto.trigger import MAX_DEPTH, OnMessage, TriggerSpec
from polis.runtime.triggers import turns
from polis.runtime.triggers.messages import Messages
from polis.service.envelope import encode
from polis.testing import eventually


@pytest.fixture(scope="module")
async def messaging(stage, actors, running):
    await stage.start("messaging", posts_per_second=100_000, conversation_posts_per_second=100_000)


@pytest.fixture
def with_triggers(graph_of):
    def with_triggers(component, **triggers):
        return msgspec.structs.replace(graph_of(component), triggers=triggers)

    return with_triggers


@pytest.fixture
def agent(actors, ada, caller, messaging):
    """Makes agents of Ada's org: principals who can say something too."""

    def make():
        made = actors.agent(ada.org_id, f"agent-{uuid4().hex[:8]}", created_by=ada.principal_id)
        person = actors.person("agent", org_id=ada.org_id, kind="agent", sub=made.id)
        person.caller, person.key = caller, made.key
        return person

    return make


@pytest.fixture
def answering(ada, active, with_triggers, trigger_of, runs_of):
    """Have an agent answer what is said to it; the trigger, once messages reach the runtime."""

    async def activate(agent, component="passthrough", **fields):
        name = f"m{uuid4().hex[:8]}"
        spec = TriggerSpec(OnMessage(**fields), into="x", agent=agent.key)
        await active.activate(ada, name, with_triggers(component, **{name: spec}))
        trigger = await trigger_of(ada, name)
        opened = await ada.call(m.OpenDirect(agent.principal_id))

        async def heard():
            """The consumer of a new kind of event is made a moment later."""
            await ada.call(m.PostMessage(opened.id, text="probe"))
            found = await ada.call(runtime.GetTrigger(trigger.id))
            return found.fired

        if not fields.get("debounce_s"):
            await eventually(heard, within_s=10)
            last = await ada.call(m.PostMessage(opened.id, text="probe"))

            async def all_heard():
                return f"{opened.id}/{last.seq}" in {run["occurrence"] for run in await runs_of(trigger.id)}

            await eventually(all_heard, within_s=10)
        return trigger, opened

    return activate


def inputs(runs):
    return [json.loads(run["input"])["x"] for run in runs]


async def test_what_is_said_to_an_agent_starts_one_run_with_its_words_and_nothing_else_does(
    stage, actors, ada, agent, answering, runs_of, second, sql
):
    sarah = agent()
    trigger, opened = await answering(sarah)
    tom = actors.person("member", org_id=ada.org_id)
    tom.caller = ada.caller
    group = await ada.call(
        m.CreateConversation(kind="group", participants=(tom.principal_id, sarah.principal_id))
    )
    other = await ada.call(m.CreateConversation(kind="group", participants=(tom.principal_id,)))

    async def say(who, text, where=group, **fields):
        posted = await who.call(m.PostMessage(where.id, text=text, **fields))
        return posted.seq

    said = await say(sarah, "I am here")
    await say(tom, "nothing for her")
    await say(tom, f"@{sarah.key} elsewhere", where=other)
    asked = f"@{sarah.key} what is new?"
    wanted = {
        (group.id, await say(tom, asked), tom.principal_id, asked),
        (group.id, await say(tom, "and this?", reply_to=said), tom.principal_id, "and this?"),
        (opened.id, await say(ada, "just us", where=opened), ada.principal_id, "just us"),
    }
    await say(sarah, f"talking of @{sarah.key}")
    await ada.call(m.ControlConversation(group.id, m.RouteControl(sarah.principal_id)))
    wanted.add((group.id, await say(tom, "is it mine?"), tom.principal_id, "is it mine?"))
    last = await say(ada, "the end", where=opened)

    async def ended():
        texts = {x["text"] for x in inputs(await runs_of(trigger.id))}
        return texts >= {"the end", *(text for *_, text in wanted)}

    await eventually(ended, within_s=10)
    found = [x for x in inputs(await runs_of(trigger.id)) if x["text"] not in ("probe", "the end")]
    heard = {(UUID(x["conversation_id"]), x["seq"], UUID(x["sender_id"]), x["text"]) for x in found}
    assert (heard, len(found)) == (wanted, len(wanted))
    assert {x["sender_kind"] for x in found} == {"user"}
    runs = await runs_of(trigger.id)
    assert len(runs) == len({run["occurrence"] for run in runs})
    assert {run["actor_id"] for run in runs} == {sarah.principal_id}
    assert f"{opened.id}/{last}" in {run["occurrence"] for run in runs}


async def test_a_condition_sees_the_words(ada, agent, answering, runs_of):
    trigger, opened = await answering(agent(), condition="message.text.matches('(?i)invoice|probe')")
    await ada.call(m.PostMessage(opened.id, text="a Invoice"))
    await eventually(lambda: _texts(runs_of, trigger, "a Invoice"), within_s=10)

    await ada.call(m.PostMessage(opened.id, text="weather"))
    await ada.call(m.PostMessage(opened.id, text="invoice three"))
    await eventually(lambda: _texts(runs_of, trigger, "invoice three"), within_s=10)

    assert not await _texts(runs_of, trigger, "weather")


async def _texts(runs_of, trigger, text):
    return [x for x in inputs(await runs_of(trigger.id)) if x["text"] == text]


async def test_agents_that_answer_each_other_come_to_an_end_and_those_who_may_not_never_begin(
    actors, ada, agent, answering, runs_of, trigger_of
):
    sarah, peter = agent(), agent()
    trigger, _ = await answering(sarah, agents=True)
    deaf, _ = await answering(peter)
    talk = await peter.call(m.OpenDirect(sarah.principal_id))
    for n in range(MAX_DEPTH + 1):
        await peter.call(m.PostMessage(talk.id, text=f"{n}"))
        await eventually(lambda n=n: _heard(ada, trigger, runs_of, n), within_s=10)
    await sarah.call(m.PostMessage(talk.id, text="and you?"))

    runs = [run for run in await runs_of(trigger.id) if json.loads(run["input"])["x"]["text"] != "probe"]
    refused = await ada.call(runtime.GetTrigger(trigger.id))
    assert [run["chain"] for run in runs] == [*range(1, MAX_DEPTH + 1)]
    assert (refused.refused, refused.error.kind) == (1, "trigger.too_deep")
    assert {x["text"] for x in inputs(await runs_of(deaf.id))} == {"probe"}


async def _heard(ada, trigger, runs_of, n):
    found = await ada.call(runtime.GetTrigger(trigger.id))
    return found.refused or await _texts(runs_of, trigger, f"{n}")


async def test_a_silence_is_waited_for_in_each_conversation_by_itself(actors, ada, agent, answering, runs_of):
    sarah = agent()
    await answering(agent())
    trigger, opened = await answering(sarah, debounce_s=0.6)
    tom = actors.person("member", org_id=ada.org_id)
    tom.caller = ada.caller
    toms = await tom.call(m.OpenDirect(sarah.principal_id))

    places = ((ada, opened), (tom, toms))
    said = await asyncio.gather(
        *(who.call(m.PostMessage(where.id, text=f"{n}")) for who, where in places for n in range(3))
    )
    last = {
        (each.conversation_id, max(s.seq for s in said if s.conversation_id == each.conversation_id))
        for each in said
    }

    async def found():
        return {(UUID(x["conversation_id"]), x["seq"]) for x in inputs(await runs_of(trigger.id))}

    async def answered():
        return last <= await found()

    await eventually(answered, within_s=10)
    # A machine that stands still for as long makes a silence of its own; never one behind each message.
    assert len(await found()) < len(said)


async def _count(runs_of, trigger, n):
    return len(await runs_of(trigger.id)) >= n


async def test_what_was_missed_is_made_up_for_by_policy(stage, ada, agent, answering, runs_of):
    """As after an outage: the events come an hour after they were told, to agents who began to answer meanwhile."""
    present, there = await answering(agent())
    policies = {"skip": [], "once": ["2"], "all": ["0", "1", "2"]}
    agents = {missed: agent() for missed in policies}
    said = []
    for sarah in agents.values():
        opened = await ada.call(m.OpenDirect(sarah.principal_id))
        said += [await ada.call(m.PostMessage(opened.id, text=f"{n}")) for n in range(3)]
    await ada.call(m.PostMessage(there.id, text="later"))
    await eventually(lambda: _texts(runs_of, present, "later"), within_s=10)
    triggers = {missed: (await answering(agents[missed], missed=missed))[0] for missed in policies}

    bus = await stage.bus(ADMIN)
    for posted in said:
        event = m.MessagePosted(ada.org_id, posted.conversation_id, posted.seq, ada.principal_id)
        subject, headers, payload = encode(event, uuid4(), datetime.now(UTC) - timedelta(hours=1))
        await store(bus, subject, payload, headers, msg_id=headers["Nats-Msg-Id"], timeout_s=5)

    async def settled():
        answered = {
            missed: sorted({x["text"] for x in inputs(await runs_of(trigger.id))} - {"probe"})
            for missed, trigger in triggers.items()
        }
        return answered == policies

    await eventually(settled, within_s=10)
    skipped = await ada.call(runtime.GetTrigger(triggers["skip"].id))
    assert (skipped.skipped, skipped.error.kind) == (3, "trigger.missed")


async def test_messages_of_a_conversation_are_answered_one_after_the_other_in_their_order(
    actors, ada, agent, answering, second, effects, sql
):
    sarah = agent()
    trigger, opened = await answering(sarah, "test.effect")
    tom = actors.person("member", org_id=ada.org_id)
    tom.caller = ada.caller
    toms = await tom.call(m.OpenDirect(sarah.principal_id))

    async def answers(where):
        """Words, beginning and end of the runs of a conversation, in the order in which they began."""
        found = await sql.fetch(
            "select input, started_at, ended_at from runtime.runs where trigger_id = $1 and occurrence like $2 order by id",
            trigger.id,
            f"{where.id}/%",
        )
        told = [
            (json.loads(each["input"])["x"]["text"], each["started_at"], each["ended_at"]) for each in found
        ]
        return [each for each in told if each[0] != "probe"]

    async def answered(where, count):
        found = await answers(where)
        return found if len(found) == count and all(ended for *_, ended in found) else None

    await ada.call(m.PostMessage(opened.id, text="no probe any more"))
    await eventually(lambda: answered(opened, 1), within_s=10)
    effects.gate.clear()
    await asyncio.gather(*(ada.call(m.PostMessage(opened.id, text=f"{n}")) for n in range(6)))
    await tom.call(m.PostMessage(toms.id, text="and I?"))

    async def both():
        return await answers(toms) and len(await answers(opened)) > 1

    await eventually(both, within_s=10)
    assert len(await answers(opened)) == 2
    effects.gate.set()

    told = await eventually(lambda: answered(opened, 7), within_s=20)
    page = await ada.call(m.ListMessages(opened.id, since=0, limit=100))
    assert [text for text, *_ in told] == [each.text for each in page.items if each.text != "probe"]
    assert all(ended <= started for (*_, ended), (_, started, _) in pairwise(told))


async def test_what_breaks_again_and_again_holds_up_nothing_that_is_said_behind_it(
    ada, agent, answering, runs_of, monkeypatch
):
    trigger, opened = await answering(agent())
    answer, broken = Messages._answer, set()

    async def breaking(messages, said):
        if said.trigger.id == trigger.id and (not broken or said.seq in broken):
            broken.add(said.seq)
            raise RuntimeError("a defect")
        return await answer(messages, said)

    monkeypatch.setattr(Messages, "_answer", breaking)
    monkeypatch.setattr(turns, "GIVEN_UP_S", 0.0)
    first = await ada.call(m.PostMessage(opened.id, text="one"))
    second = await ada.call(m.PostMessage(opened.id, text="two"))

    async def answered():
        return {run["occurrence"] for run in await runs_of(trigger.id)} >= {f"{opened.id}/{second.seq}"}

    await eventually(answered, within_s=10)
    assert broken == {first.seq}
    assert "one" not in {x["text"] for x in inputs(await runs_of(trigger.id))}


async def test_who_answers_at_once_answers_several_at_a_time(ada, agent, answering, effects, runs_of):
    trigger, opened = await answering(agent(), "test.effect", concurrent=True)
    effects.gate.clear()
    for n in range(3):
        await ada.call(m.PostMessage(opened.id, text=f"{n}"))

    async def at_work():
        running = [run for run in await runs_of(trigger.id) if run["state"] == "running"]
        return {x["text"] for x in inputs(running)} >= {"0", "1", "2"}

    await eventually(at_work, within_s=10)
