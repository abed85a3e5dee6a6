"""Notifications at webhooks, on a server of this process: signed, once, by the way out that steps have, and told when they fail."""

from __future__ import annotations

import base64
import hmac
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import msgspec
import pytest
from aiohttp import web

from polis.bus.permissions import ADMIN
from polis.proto import identity, messaging
from polis.proto.contract import operation_of
from polis.testing import eventually

KEY = b"0123456789abcdef01234567"
SECRET = "whsec_" + base64.b64encode(KEY).decode()


class Peers:
    """Messaging's hooks and identity's vault, as far as they are asked for."""

    def __init__(self, bus):
        self.bus, self.hooks, self.leased, self.reported = bus, {}, [], {}

    async def play(self):
        for request in (
            messaging.GetNotificationHook,
            messaging.ReportNotificationHook,
            identity.LeaseSecret,
        ):

            def answer(message, request=request):
                answered = self._answer(msgspec.json.decode(message.payload, type=request))
                self.bus.publish(message.reply, msgspec.json.encode(answered))

            await self.bus.subscribe(operation_of(request).subject, answer, queue="played")

    def _answer(self, request):
        match request:
            case messaging.GetNotificationHook():
                return messaging.HookOf(self.hooks.get(request.principal_id))
            case messaging.ReportNotificationHook():
                self.reported[request.principal_id] = request
                return None
            case identity.LeaseSecret():
                self.leased.append(request)
                until = datetime.now(UTC) + timedelta(minutes=1)
                return identity.SecretLease(request.secret_id, 1, SECRET, until)


@pytest.fixture(scope="module")
async def site():
    """A server that answers as its paths say; what it was asked, by path."""
    asked = []

    async def answer(request):
        asked.append((request.path, dict(request.headers), await request.read()))
        failing = request.path == "/busy" and [path for path, _, _ in asked].count("/busy") == 1
        return web.Response(status=503 if failing else 404 if request.path == "/gone" else 204)

    runner = web.AppRunner(app := web.Application())
    app.router.add_route("*", "/{path:.*}", answer)
    await runner.setup()
    listening = web.TCPSite(runner, "127.0.0.1", 0)
    await listening.start()
    port = listening._server.sockets[0].getsockname()[1]
    yield f"127.0.0.1:{port}", asked
    await runner.cleanup()


@pytest.fixture(scope="module")
async def running(stage, actors, site):
    return await stage.start("runtime", egress_allow=site[0])


@pytest.fixture(scope="module")
async def peers(stage, running):
    peers = Peers(await stage.bus(ADMIN))
    await peers.play()
    return peers


@pytest.fixture
def due(peers, tell):
    """Tell that somebody with this webhook has messages to read; the event."""

    async def due(url, secret_id=UUID(int=1)):  # noqa: B008 - it is frozen
        event = messaging.NotificationDue(uuid4(), uuid4(), uuid4(), uuid4(), 3, mail=False, hook=True)
        peers.hooks[event.principal_id] = url and messaging.NotificationHook(url, secret_id)
        await tell(event)
        return event

    return due


@pytest.fixture
def left(running):
    """What is still to be posted in an org: how often it was tried."""

    async def left(event, *, at_once=False):
        async with running.kernel.database.transaction([event.org_id]) as tx:
            if at_once:
                await tx.execute(
                    "update runtime.notification_posts set due_at = now() where org_id = $1", event.org_id
                )
            return await tx.rows(
                int, "select tries from runtime.notification_posts where org_id = $1", event.org_id
            )

    return left


async def test_it_is_posted_once_signed_by_the_secret_of_whose_it_is_and_says_no_more_than_how_many(
    due, site, peers, left
):
    place, asked = site
    event = await due(f"http://{place}/taken?k=1", secret_id := uuid4())

    [(_, headers, body)] = await eventually(lambda: [each for each in asked if each[0] == "/taken"])

    assert msgspec.json.decode(body)["data"] == {
        "org_id": str(event.org_id),
        "conversation_id": str(event.conversation_id),
        "principal_id": str(event.principal_id),
        "unread": 3,
    }
    assert headers["webhook-id"] == f"msg_{event.notification_id.hex}"
    told = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    assert headers["webhook-signature"] == "v1," + base64.b64encode(hmac.digest(KEY, told, "sha256")).decode()
    leased = [(r.principal_id, r.secret_id) for r in peers.leased if r.org_id == event.org_id]
    assert leased == [(event.principal_id, secret_id)]
    await eventually(lambda: _none(left, event))
    assert [path for path, _, _ in asked].count("/taken") == 1
    assert event.principal_id not in peers.reported


async def test_what_is_refused_is_told_and_what_may_work_later_is_tried_again(due, site, peers, left):
    place, asked = site
    gone, busy = await due(f"http://{place}/gone"), await due(f"http://{place}/busy")
    inwards, dropped = await due("http://127.0.0.1:1/x"), await due(None)

    for event, kind in ((gone, "http.4xx"), (inwards, "egress.refused")):
        report = await eventually(lambda event=event: peers.reported.get(event.principal_id))
        assert report.failure.startswith(kind)
        assert report.url == peers.hooks[event.principal_id].url
    await eventually(lambda: _tried(left, busy))
    await left(busy, at_once=True)
    other = await due(None)  # whatever is new wakes whoever posts

    for event in (gone, busy, inwards, dropped, other):
        await eventually(lambda event=event: _none(left, event))
    ids = [headers["webhook-id"] for path, headers, _ in asked if path == "/busy"]
    assert ids == [f"msg_{busy.notification_id.hex}"] * 2
    assert all("webhook-signature" in headers for _, headers, _ in asked)
    assert busy.principal_id not in peers.reported


async def _none(left, event):
    return not await left(event)


async def _tried(left, event):
    return await left(event) == [1]
