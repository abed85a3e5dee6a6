"""What can be asked, how it is answered, and what a run goes on with: each answer once, in one commit with its outcome."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from polis.proto import Refused, runtime
from polis.proto.graph import Node
from polis.proto.problems import Fault
from polis.runtime.asks import clock
from polis.runtime.asks.spec import MAX_BYTES
from polis.runtime.waits.due import complete_due
from polis.testing import eventually

FORM = {
    "type": "object",
    "properties": {"count": {"type": "integer", "minimum": 1}},
    "required": ["count"],
    "additionalProperties": False,
}


async def test_an_approval_lets_the_arguments_on_and_tells_who_gave_it(ben, asking, asks):
    run = await asking.start(asks(title="Send to {{to}}?", text="{{body}}"), {"to": "Tom", "body": "Hello"})
    (ask,) = await asking.of(run, ben)
    sheet = await ben.call(runtime.GetAsk(ask.id))

    answered = await ben.call(runtime.AnswerAsk(ask.id, "approve", note="Fine"))

    assert (ask.title, ask.state, ask.node, ask.run_id) == ("Send to Tom?", "open", "ask", run.id)
    assert (sheet.text, sheet.value) == ("Hello", {"to": "Tom", "body": "Hello"})
    assert sheet.decisions == ("approve", "deny", "always")
    assert (answered.state, answered.id) == ("answered", ask.id)
    values = await asking.output(run)
    assert values["y"] == [{"to": "Tom", "body": "Hello"}]
    (told,) = values["told"]
    assert (told["decision"], told["via"], told["note"]) == ("approve", "api", "Fine")
    assert told["by"] == str(ben.principal_id)
    assert await asking.facts(ask) == ["ask_opened", "ask_answered"]


async def test_what_is_denied_goes_elsewhere_with_the_reason(ben, asking, asks):
    run = await asking.start(asks(), {"to": "Tom"})
    (ask,) = await asking.of(run, ben)

    await ben.call(runtime.AnswerAsk(ask.id, "deny", note="Not today"))

    values = await asking.output(run)
    assert values["y"] == []
    assert values["no"] == [{"value": {"to": "Tom"}, "note": "Not today", "by": str(ben.principal_id)}]


async def test_edited_arguments_fit_the_form_or_each_fault_is_named(ben, asking, asks, refused):
    run = await asking.start(asks(form=FORM), {"count": 3})
    (ask,) = await asking.of(run, ben)

    wrong = await refused(ben.call(runtime.AnswerAsk(ask.id, "approve", {"count": 0, "more": 1})))
    await ben.call(runtime.AnswerAsk(ask.id, "approve", {"count": 2}))

    assert {fault.pointer for fault in wrong.faults} == {"/value/count", "/value/more"}
    assert (await asking.output(run))["y"] == [{"count": 2}]


async def test_arguments_that_are_not_editable_are_taken_as_they_are_or_not_at_all(
    ben, asking, asks, refused
):
    run = await asking.start(asks(editable=False, always=False), 1)
    (ask,) = await asking.of(run, ben)

    edited = await refused(ben.call(runtime.AnswerAsk(ask.id, "approve", 2)))
    always = await refused(ben.call(runtime.AnswerAsk(ask.id, "always")))

    assert edited.faults == (Fault("/value", "the arguments are approved as they are"),)
    assert always.faults == (Fault("/decision", "expected one of: approve, deny"),)


@pytest.mark.parametrize(
    ("config", "answer", "goes_on"),
    [
        ({"kind": "input", "form": FORM}, ("submit", {"count": 7}), {"count": 7}),
        (
            {"kind": "choice", "choices": ["sea", {"key": "hills"}]},
            ("hills", None),
            {"choice": "hills", "value": 5},
        ),
        ({"kind": "handoff"}, ("done", {"sent": True}), {"sent": True}),
        ({"kind": "handoff"}, ("done", None), 5),
    ],
    ids=["input", "choice", "handoff with a result", "handoff without"],
)
async def test_each_kind_goes_on_with_what_was_answered(ben, asking, asks, config, answer, goes_on):
    run = await asking.start(asks(**config), 5)
    (ask,) = await asking.of(run, ben, kind=config["kind"])

    await ben.call(runtime.AnswerAsk(ask.id, *answer))

    assert (await asking.output(run))["y"] == [goes_on]


async def test_a_form_without_its_values_is_no_answer(ben, asking, asks, refused):
    run = await asking.start(asks(kind="input", form=FORM), 5)
    (ask,) = await asking.of(run, ben)

    nothing = await refused(ben.call(runtime.AnswerAsk(ask.id)))
    other = await refused(ben.call(runtime.AnswerAsk(ask.id, "approve")))

    assert [fault.pointer for fault in nothing.faults] == ["/value"]
    assert other.faults == (Fault("/decision", "expected one of: submit"),)
    assert (await ben.call(runtime.GetAsk(ask.id))).ask.state == "open"


async def test_a_vote_is_decided_when_the_quorum_has_voted_and_one_choice_leads(
    person, ben, asking, asks, refused
):
    run = await asking.start(asks(kind="vote", choices=["sea", "hills"], quorum=2), "x")
    (ask,) = await asking.of(run, ben)
    cem, dan = person("admin"), person("admin")

    assert (await ben.call(runtime.AnswerAsk(ask.id, "sea"))).state == "open"
    assert (await ben.call(runtime.AnswerAsk(ask.id, "sea"))).state == "open"
    assert await refused(ben.call(runtime.AnswerAsk(ask.id, "hills"))) == runtime.AlreadyVoted("sea")
    assert (await cem.call(runtime.AnswerAsk(ask.id, "hills"))).state == "open"  # a tie
    sheet = await cem.call(runtime.GetAsk(ask.id))
    assert (sheet.votes, sheet.mine, sheet.quorum) == ({"sea": 1, "hills": 1}, "hills", 2)
    assert (await dan.call(runtime.AnswerAsk(ask.id, "hills"))).state == "answered"

    assert (await asking.output(run))["y"] == [
        {"choice": "hills", "value": "x", "votes": {"sea": 1, "hills": 2}}
    ]
    assert (await asking.facts(ask))[-2:] == ["ask_voted", "ask_answered"]


async def test_the_first_of_many_answers_counts_and_the_others_are_told_so(person, ben, asking, asks):
    run = await asking.start(asks(), 1)
    (ask,) = await asking.of(run, ben)
    people = [person("admin") for _ in range(12)]

    async def answer(who, decision):
        try:
            await who.call(runtime.AnswerAsk(ask.id, decision))
        except Refused as refusal:
            return refusal.problem
        return decision

    said = await asyncio.gather(*(answer(who, ("approve", "deny")[n % 2]) for n, who in enumerate(people)))

    (won,) = [each for each in said if isinstance(each, str)]
    assert said.count(runtime.AskEnded(state="answered")) == 11
    values = await asking.output(run)
    assert [told["decision"] for told in values["told"]] == [won]
    assert Counter(await asking.facts(ask)) == {"ask_opened": 1, "ask_answered": 1}
    again = await people[said.index(won)].call(runtime.AnswerAsk(ask.id, won))
    assert again.state == "answered"


async def test_an_answer_under_a_key_is_given_once(ben, asking, asks):
    run = await asking.start(asks(kind="vote", choices=["a", "b"]), 1)
    (ask,) = await asking.of(run, ben)

    first = await ben.call(runtime.AnswerAsk(ask.id, "a"), key="once")
    again = await ben.call(runtime.AnswerAsk(ask.id, "a"), key="once")

    assert first == again


async def test_each_item_of_a_stream_is_asked_about_and_answers_come_in_any_order(ben, asking, asks_behind):
    config = {"kind": "input", "title": "{{.}}", "to": [{"role": "admin"}]}
    graph = asks_behind(Node("split"), config=config)
    run = await asking.start(graph, list(range(40)))
    found = []
    while len(found) < 40:  # a node has a bounded number of items in hand
        fresh = [ask for ask in await asking.of_any(run, ben) if ask.id not in found]
        found += [ask.id for ask in fresh]
        await asyncio.gather(
            *(ben.call(runtime.AnswerAsk(a.id, "submit", f"<{a.title}>")) for a in fresh[::-1])
        )

    assert (await asking.output(run))["y"] == [f"<{n}>" for n in range(40)]


async def test_what_nobody_answers_in_time_takes_its_default_and_is_told_as_such(
    ben, asking, asks, database, refused
):
    run = await asking.start(asks(timeout_s=3600, default="deny"), 1)
    (ask,) = await asking.of(run, ben)
    await asking.fall_due(ask)

    await complete_due(database)

    values = await asking.output(run)
    assert (values["y"], len(values["no"])) == ([], 1)
    (told,) = values["told"]
    assert (told["decision"], told["via"], told["by"], told["at"]) == ("deny", "default", None, None)
    assert await asking.facts(ask) == ["ask_opened", "ask_answered"]
    assert await refused(ben.call(runtime.AnswerAsk(ask.id, "approve"))) == runtime.AskEnded("answered")


async def test_without_a_default_the_step_fails_and_the_ask_has_expired(ben, asking, asks, database, refused):
    run = await asking.start(asks(timeout_s=3600), 1)
    (ask,) = await asking.of(run, ben)
    await asking.fall_due(ask)

    await complete_due(database)

    ended = await asking.ended(run)
    assert (ended.state, ended.error.kind) == ("failed", "wait.timeout")
    assert await asking.facts(ask) == ["ask_opened", "ask_expired"]
    assert await refused(ben.call(runtime.AnswerAsk(ask.id, "approve"))) == runtime.AskEnded("expired")
    assert (await asking.of(run, ben, state="expired"))[0].id == ask.id


async def test_an_open_ask_is_brought_to_mind_and_then_to_others(person, ben, asking, asks, database):
    boss = person("owner")
    escalate = [{"after_s": 90, "to": [{"role": "owner"}]}]
    run = await asking.start(asks(remind_s=60, escalate=escalate), 1)
    (ask,) = await asking.of(run, ben)
    assert (await boss.call(runtime.ListAsks(run_id=run.id))).items == ()

    await asking.grow_old(ask, 61)
    await clock.turn(database)
    await clock.turn(database)
    assert await asking.facts(ask) == ["ask_opened", "ask_reminded"]
    await asking.grow_old(ask, 30)
    await clock.turn(database)

    assert await asking.facts(ask) == ["ask_opened", "ask_reminded", "ask_escalated"]
    assert (await boss.call(runtime.AnswerAsk(ask.id, "approve"))).state == "answered"
    await asking.grow_old(ask, 600)
    await clock.turn(database)
    assert (await asking.facts(ask))[-1] == "ask_answered"


async def test_an_ask_about_which_nothing_can_be_done_holds_up_no_other(ben, asking, asks, database, admin):
    run = await asking.start(asks(remind_s=60), 1)
    other = await asking.start(asks(remind_s=60), 2)
    [broken], [fine] = await asking.of(run, ben), await asking.of(other, ben)
    spec = await admin.fetchval("select spec from runtime.asks where id = $1", broken.id)
    await admin.execute("update runtime.asks set spec = '[]' where id = $1", broken.id)
    await asking.grow_old(broken, 70)
    await asking.grow_old(fine, 61)

    async def is_reminded(ask):  # by the process itself, too
        await clock.turn(database)
        return await asking.facts(ask) == ["ask_opened", "ask_reminded"]

    await eventually(lambda: is_reminded(fine))

    put_off = "select next_at > now() + interval '9 seconds' from runtime.asks where id = $1"
    await eventually(lambda: admin.fetchval(put_off, broken.id))
    await admin.execute("update runtime.asks set spec = $2, next_at = now() where id = $1", broken.id, spec)
    await eventually(lambda: is_reminded(broken))


async def test_texts_that_the_database_takes_in_no_column_are_asked_and_answered(ben, asking, asks):
    nul = "a\0b"
    run = await asking.start(
        asks(kind="input", title="{{.}}", text="{{.}}", subject="x/{{.}}", verb=nul), nul
    )
    (ask,) = await asking.of(run, ben)

    await ben.call(runtime.AnswerAsk(ask.id, "submit", {nul: [nul]}, nul))

    assert (ask.title, ask.subject, ask.verb) == ("ab", "x/ab", "ab")
    assert (await asking.output(run))["y"] == [{nul: [nul]}]


async def test_more_than_anybody_reads_is_neither_asked_nor_answered(ben, asking, asks, refused):
    large = "x" * MAX_BYTES
    run = await asking.start(asks(), large)
    assert (await asking.ended(run)).error.kind == "ask.too_large"
    run = await asking.start(asks(kind="input"), 1)
    (ask,) = await asking.of(run, ben)

    problem = await refused(ben.call(runtime.AnswerAsk(ask.id, "submit", large)))

    assert [fault.pointer for fault in problem.faults] == ["/value"]


async def test_who_cannot_be_named_fails_the_step(asking, asks):
    run = await asking.start(asks(to=[{"principal": "{{who}}"}]), {"who": "nobody"})

    ended = await asking.ended(run)

    assert (ended.state, ended.error.kind) == ("failed", "ask.addressee")


@pytest.mark.parametrize(
    ("config", "pointer"),
    [
        ({"kind": "choice"}, "/choices"),
        ({"choices": ["a", "b"]}, "/choices"),
        ({"kind": "vote", "choices": ["a", {"key": "a"}]}, "/choices"),
        ({"default": "deny"}, "/timeout_s"),
        ({"timeout_s": 60, "default": "always"}, "/default"),
        ({"kind": "input", "form": FORM, "timeout_s": 60, "default": "submit"}, "/default_value"),
        ({"default_value": 1}, "/default_value"),
        ({"kind": "input", "form": {"type": "strange"}}, "/form/type"),
        ({"title": "{{#a}}"}, "/title"),
    ],
)
async def test_what_cannot_be_asked_is_refused_with_the_graph(ada, asking, asks, refused, config, pointer):
    problem = await refused(asking.start(asks(**config), 1))

    assert [fault.pointer for fault in problem.faults] == ["/nodes/ask/config" + pointer]
