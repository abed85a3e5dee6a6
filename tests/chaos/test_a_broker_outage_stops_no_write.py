"""G3. nats-server down under load: writes go on without an error, and what they told arrives in order once it is up."""

from __future__ import annotations

import time


async def test_writes_go_on_while_the_broker_is_down_and_everything_arrives_in_order(flow, dice, full):
    outage = 20_000 if full else 300
    flow.start("relay")
    flow.start("inbox")
    for _ in range(3 if full else 1):
        async with flow.writing():
            await flow.more(dice.randint(30, 100))
            await flow.has_effects(1)  # both of them are at work
            flow.nats.kill()
            await flow.more(outage, within_s=600)
            await flow.nats.start()
        started, backlog = time.monotonic(), await flow.pending()
        await flow.published(within_s=60 + backlog / 100)
        print(f"{backlog} events of an outage were published in {time.monotonic() - started:.2f} s")
    await flow.caught_up()

    assert flow.history.count("ok") == flow.sent, flow.history.summary()
    assert await flow.check() == {}, flow.history.summary()
