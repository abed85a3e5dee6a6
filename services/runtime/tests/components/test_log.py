"""log: one line, and the message goes on."""


async def test_log_writes_a_line_with_the_steps_key_and_gives_the_message_on(run):
    step = await run("log", "hello", message="greeted", expression="{'characters': size(item)}")

    assert step.lines == [
        ("info", "run.logged", {"message": "greeted", "key": "run/node/0", "value_pii": {"characters": 5}})
    ]
    assert step.out() == ["hello"]


async def test_without_an_expression_nothing_of_the_message_is_in_the_line(run):
    step = await run("log", "secret", message="seen", level="warning")

    assert step.lines == [("warning", "run.logged", {"message": "seen", "key": "run/node/0"})]
