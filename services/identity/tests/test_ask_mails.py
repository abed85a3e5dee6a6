"""Mails to whom runs ask something: by name or role, once for each notice, with what the runtime says when they are written."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import msgspec
import pytest

from polis.bus.jetstream import store
from polis.bus.permissions import ADMIN
from polis.identity.mail.letters import Letter
from polis.identity.seal import Seal
from polis.proto import runtime
from polis.proto.contract import operation_of
from polis.proto.identity import ListAudit
from polis.proto.runtime import Addressee
from polis.service import Secret, call, envelope
from polis.service.wire import encode_problem
from polis.testing import eventually

ADMINS = (Addressee("role", role="admin"),)


class Runtime:
    """Plays the runtime: tells of asks, and says what they are."""

    def __init__(self, bus):
        self.bus, self.asked, self.over = bus, [], set()

    async def play(self):
        await self.bus.subscribe(operation_of(runtime.DescribeAsk).subject, self._describe, queue="runtime")

    def _describe(self, message):
        asked = msgspec.json.decode(message.payload, type=runtime.DescribeAsk)
        self.asked.append(asked)
        if asked.ask_id in self.over:
            problem = runtime.AskEnded("withdrawn")
            headers = {call.ERROR_CODE: "409", call.ERROR: problem.title}
            self.bus.publish(message.reply, encode_problem(problem), headers=headers)
            return
        path = f"/answer#pak_{asked.principal_id}" if asked.link else "/"
        self.bus.publish(message.reply, msgspec.json.encode(runtime.AskNotice("May I\r\nsend?", path)))

    async def tell(self, event):
        subject, headers, payload = envelope.encode(event, uuid4(), datetime.now(UTC))
        await store(self.bus, subject, payload, headers, msg_id=headers["Nats-Msg-Id"], timeout_s=5)


@pytest.fixture(scope="module")
async def asking(stage):
    playing = Runtime(await stage.bus(ADMIN))
    await playing.play()
    return playing


@pytest.fixture
def letters(rows, mesh_secret):
    """What was written to an address."""
    seal = Seal(Secret(mesh_secret), "mails v1")

    async def letters(person, count=1):
        async def look():
            found = await rows(
                "select id, sealed from identity.mails where email = $1 and kind = 'ask' and sealed is not null",
                person.email,
            )
            return found if len(found) == count else None

        found = await eventually(look, within_s=5)
        return [msgspec.json.decode(seal.open(str(r["id"]), r["sealed"]), type=Letter) for r in found]

    return letters


def opened(org_id, to, mail="link"):
    return runtime.AskOpened(org_id, uuid4(), uuid4(), "approval", to, None, mail)


async def test_each_who_has_the_role_gets_a_link_of_their_own(ada, join, asking, letters):
    ben, cem = await join(ada, "admin"), await join(ada, "admin")

    await asking.tell(opened(ada.org_id, ADMINS))

    for person in (ben, cem):
        (letter,) = await letters(person)
        assert letter.subject == "Your answer is needed"
        assert "    May I send?\n" in letter.text
        assert f"/answer#pak_{person.id}\n" in letter.text


async def test_who_is_asked_by_name_in_this_org_is_mailed_once_for_each_notice(
    ada, ben, join, asking, letters, rows
):
    cem = await join(ada, "member")
    event = opened(
        ada.org_id, (Addressee("principal", id=cem.id), Addressee("principal", id=ben.id)), "notice"
    )
    reminder = runtime.AskReminded(ada.org_id, event.ask_id, event.run_id, event.to, 1, "notice")

    for each in (event, event, reminder, reminder):
        await asking.tell(each)

    for letter in await letters(cem, count=2):
        assert "answers once" not in letter.text
    assert not await rows("select from identity.mails where email = $1", ben.email)  # of another org


async def test_nobody_is_mailed_where_the_graph_does_not_say_so_or_it_is_over(
    ada, join, asking, letters, rows
):
    cem = await join(ada, "admin")
    over = opened(ada.org_id, ADMINS)
    asking.over.add(over.ask_id)

    await asking.tell(opened(ada.org_id, ADMINS, "none"))
    await asking.tell(over)
    await eventually(lambda: over.ask_id in {asked.ask_id for asked in asking.asked}, within_s=5)

    async def none():
        return not await rows("select from identity.mails where email = $1", cem.email)

    await eventually(none, within_s=5)


async def test_the_audit_log_tells_what_became_of_asks(ada, asking):
    now, ask, run = datetime.now(UTC), uuid4(), uuid4()
    to = Addressee("role", role="admin")
    approval = runtime.StandingApproval(
        uuid4(), ada.org_id, "mail:send", "mail/*", to, ada.id, now, graph="g"
    )
    for event in (
        runtime.AskDelegated(ada.org_id, ask, run, by=ada.id, to=to, at=now),
        runtime.AskVoted(ada.org_id, ask, run, "a", ada.id, now, acting="key:1"),
        runtime.AskAnswered(ada.org_id, ask, run, "vote", "a", "votes", now, ada.id),
        runtime.ApprovalGiven(ada.org_id, approval.id, approval),
        runtime.ApprovalRevoked(ada.org_id, approval.id, now),
    ):
        await asking.tell(event)

    async def told():
        found = (await ada.call(ListAudit(limit=200))).items
        return {r.action: r for r in found if r.action.partition(".")[0] in ("ask", "approval")}

    records = await eventually(lambda: _five(told), within_s=5)
    assert records["ask.delegated"].detail == {"run": str(run), "to": "role admin"}
    assert records["ask.voted"].detail == {"run": str(run), "decision": "a", "by": "key:1"}
    assert records["ask.answered"].detail["via"] == "votes"
    assert records["approval.given"].detail == {"of": "graph g", "verb": "mail:send", "on": "mail/*"}
    assert records["approval.revoked"].actor_id is None


async def _five(told):
    found = await told()
    return found if len(found) == 5 else None
