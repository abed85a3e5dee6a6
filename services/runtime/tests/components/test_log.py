"""log: one line, and the message goes on."""

import pytest

from polis.graph import builtin, config_faults


async def test_log_writes_a_line_with_the_steps_key_and_gives_the_message_on(run):
    step = await run("log", "hello", message="greeted", expression="{'characters': size(item)}")

    assert step.lines == [
        ("info", "run.logged", {"message": "greeted", "key": "run/node/0", "value_pii": {"characters": 5}})
    ]
    assert step.said == [("info", "greeted", {"characters": 5})]
    assert step.out() == ["hello"]


async def test_without_an_expression_nothing_of_the_message_is_in_the_line(run):
    step = await run("log", "secret", message="seen", level="warning")

    assert step.lines == [("warning", "run.logged", {"message": "seen", "key": "run/node/0"})]
    assert step.said == [("warning", "seen", None)]


@pytest.mark.parametrize(("level", "own"), [("error", "warning"), ("success", "info")])
async def test_what_has_failed_or_succeeded_is_said_so(run, level, own):
    step = await run("log", "a", message="m", level=level)

    assert [line[0] for line in step.lines] == [own]
    assert step.said == [(level, "m", None)]


def test_another_level_is_refused_by_name():
    (fault,) = config_faults(builtin.components()["log"], {"level": "loud"})

    assert fault.pointer == "/level"
