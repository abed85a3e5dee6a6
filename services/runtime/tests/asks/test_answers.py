"""What can be asked, how it is answered, and what a run goes on with: each answer once, in one commit with its outcome."""

from __future__ import annotations

from polis.proto import runtime


async def test_an_approval_lets_the_arguments_on_and_tells_who_gave_it(ada, ben, asking, asks):
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
    assert (told["decision"], told["by"], told["via"], told["note"]) == (
        "approve",
        str(ben.principal_id),
        "api",
        "Fine",
    )
    assert await asking.facts(ask) == ["ask_opened", "ask_answered"]
