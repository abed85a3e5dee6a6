"""What becomes of an event that cannot be heard: an outage is waited out, what is refused for good is given up."""

from __future__ import annotations

from types import SimpleNamespace

from polis.proto import Refused
from polis.proto.problems import Forbidden, Unavailable
from polis.runtime.triggers import feed
from polis.runtime.triggers.feed import Feed
from polis.runtime.triggers.following import Followed


async def test_what_is_refused_for_good_is_given_up_and_an_outage_is_not(monkeypatch):
    monkeypatch.setattr(feed, "_AGAIN_S", (0.0,))
    monkeypatch.setattr(Followed, "of", lambda *_: SimpleNamespace(type="x.y"))
    problems, said, answers = [Unavailable(dependency="nats"), Forbidden(scope="x")], [], []

    async def hear(_):
        answers.append(0)
        if len(answers) <= 2 * feed._MOST_REFUSALS:
            raise Refused(problems[0])

    delivery = SimpleNamespace(
        num_delivered=1, headers={}, payload=b"", stream_seq=1, subject="event.x.y",
        ack=lambda: said.append("ack"), term=said.append,
    )  # fmt: skip
    bus = SimpleNamespace(on_reconnect=[])
    heard = Feed(SimpleNamespace(bus=bus), [hear], None)
    while problems:
        await heard._take(delivery)
        problems.pop(0)
        answers.clear()

    assert said == ["ack", "refused"]
