"""What the rendered configuration lets each service do, asked of a real server that runs with it."""

from __future__ import annotations

import asyncio
import json
import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from polis.bus import AuthenticationFailed, Bus, NoResponders, PermissionViolation, admin
from polis.bus.config import SYSTEM, Broker, render_config
from polis.bus.follow import follow
from polis.bus.jetstream import Entry, Log, PullConsumer, StreamError, store
from polis.bus.past import past
from polis.bus.permissions import ADMIN, inbox_prefix, users
from polis.local.ports import free_port
from polis.proto.contract import events, live_topics, operations
from polis.testing import eventually

from . import conftest

USERS = users()
NAMES = [user.name for user in USERS]
PASSWORDS = {name: f"password-of-{name}" for name in (*NAMES, ADMIN, SYSTEM)}


@pytest.fixture(scope="module")
async def mesh(tmp_path_factory):
    """A server as it is run, with the streams and consumers of the contract."""
    folder, port = tmp_path_factory.mktemp("mesh"), free_port()
    settings = Broker(store_dir=folder / "store", port=port)
    path = folder / "nats.conf"
    path.write_text(render_config(settings, USERS, PASSWORDS))
    server = conftest.Broker(folder, "-c", str(path), port=port)
    bus = await Bus.connect(server.url, name="probe", user=ADMIN, password=PASSWORDS[ADMIN])
    await bus.close()
    await admin.declare(server.url, password=PASSWORDS[ADMIN])
    yield server
    server.kill()


@pytest.fixture
def as_user(mesh, connect):
    async def as_user(name: str) -> Bus:
        return await connect(mesh.url, user=name, password=PASSWORDS[name], inbox_prefix=inbox_prefix(name))

    return as_user


@pytest.mark.parametrize("port", [-1, 4222])
@pytest.mark.parametrize("monitoring_port", [None, 8222])
def test_the_server_accepts_every_configuration(tmp_path, port, monitoring_port):
    store = tmp_path / "a folder with spaces" / "store"
    settings = Broker(store_dir=store, port=port, monitoring_port=monitoring_port, host="0.0.0.0")
    path = tmp_path / "nats.conf"
    path.write_text(render_config(settings, USERS, PASSWORDS))

    tested = subprocess.run(
        [conftest.NATS_SERVER, "-t", "-c", path], capture_output=True, text=True, check=False
    )

    assert tested.returncode == 0, tested.stderr


def test_a_user_without_a_password_cannot_be_rendered(tmp_path):
    with pytest.raises(KeyError, match="gateway"):
        render_config(
            Broker(store_dir=tmp_path), USERS, {n: p for n, p in PASSWORDS.items() if n != "gateway"}
        )


@pytest.mark.parametrize("name", ["identity", ADMIN, "nobody"])
async def test_nobody_enters_without_the_password(mesh, name):
    with pytest.raises(AuthenticationFailed):
        await Bus.connect(mesh.url, name="test", user=name, password="guess")
    with pytest.raises(AuthenticationFailed):
        await Bus.connect(mesh.url, name="test")


@pytest.mark.parametrize("name", NAMES)
async def test_a_service_may_send_exactly_the_requests_that_the_contract_lets_it(as_user, name):
    bus = await as_user(name)

    async def outcome(subject):
        with pytest.raises((NoResponders, PermissionViolation)) as raised:
            await bus.request(subject, b"", timeout_s=30)
        return raised.type is NoResponders

    remote = [o for o in operations() if not o.local]
    allowed = await asyncio.gather(*[outcome(o.subject) for o in remote])

    assert dict(zip((o.subject for o in remote), allowed, strict=True)) == {
        o.subject: o.callable_by(name) for o in remote
    }


@pytest.mark.parametrize("name", NAMES)
async def test_a_service_hears_no_requests_and_no_replies_but_its_own(as_user, name):
    bus = await as_user(name)
    others = [other for other in NAMES if other != name]

    for subject in (
        *(f"rpc.{other}.>" for other in others),
        *(f"rpc.{other}.*" for other in others),
        *(f"{inbox_prefix(other)}.>" for other in (*others, ADMIN)),
        *(
            ">",
            "*",
            "rpc.>",
            "*.>",
            "_INBOX.>",
            "$SRV.>",
            "$JS.>",
            "$SYS.>",
            "dead.>",
            "event.identity.org_created.>",
        ),
    ):
        if name == "gateway" and subject.startswith("event."):
            continue
        with pytest.raises(PermissionViolation):
            await bus.subscribe(subject, print)


@pytest.mark.parametrize("name", NAMES)
async def test_a_service_cannot_make_or_change_streams_and_consumers(as_user, name):
    bus = await as_user(name)

    for verb in (
        "STREAM.CREATE.SPY",
        "STREAM.UPDATE.EVENTS_IDENTITY",
        "STREAM.PURGE.EVENTS_IDENTITY",
        "STREAM.DELETE.EVENTS_IDENTITY",
        "STREAM.NAMES",
        "CONSUMER.CREATE.EVENTS_IDENTITY",
        "CONSUMER.CREATE.EVENTS_IDENTITY.spy.event.identity.>",
        "CONSUMER.DURABLE.CREATE.EVENTS_IDENTITY.spy",
        "CONSUMER.DELETE.EVENTS_IDENTITY.runtime_identity",
        "STREAM.MSG.GET.DEAD",
        "DIRECT.GET.EVENTS_IDENTITY",
    ):
        with pytest.raises(PermissionViolation):
            await bus.request(f"$JS.API.{verb}", b"{}", timeout_s=30)


@pytest.mark.parametrize("name", NAMES)
async def test_a_service_publishes_no_events_but_its_own(as_user, name):
    bus = await as_user(name)

    for source in {e.service for e in events()}:
        event = Entry(f"event.{source}.nothing.org.entity", b"", "", msg_id=f"{name}-{source}")
        appended = await Log(bus, f"EVENTS_{source.upper()}").append(
            [event], expected_last_seq=999, timeout_s=5
        )
        assert appended.stored == 0
        assert isinstance(appended.failure, StreamError if source == name else PermissionViolation)


async def test_a_service_answers_what_it_was_asked_and_nobody_elses_calls(as_user):
    identity, catalog, gateway = [await as_user(name) for name in ("identity", "catalog", "gateway")]
    refused, asked = [asyncio.get_running_loop().create_future() for _ in range(2)]
    catalog.on_violation.append(lambda text: refused.done() or refused.set_result(text))
    await identity.subscribe("rpc.identity.sign_in", asked.set_result, queue="identity")

    answered = asyncio.ensure_future(gateway.request("rpc.identity.sign_in", b"", timeout_s=30))
    message = await asyncio.wait_for(asked, 30)
    catalog.publish(message.reply, b"forged")
    catalog.publish(message.reply.replace(".identity.", ".catalog."), b"forged")
    await catalog.flush(5)
    identity.answer(message, b"true")

    assert (await answered).payload == b"true"
    assert "Permissions Violation" in await asyncio.wait_for(refused, 30)


async def test_who_is_no_service_gets_one_answer_where_it_asked_from(as_user, mesh, connect):
    """As a tool of an operator does: its inbox is in nobody's permissions."""
    identity = await as_user("identity")
    tool = await connect(mesh.url, user=ADMIN, password=PASSWORDS[ADMIN], inbox_prefix="_INBOX_tool")
    refused = asyncio.get_running_loop().create_future()
    identity.on_violation.append(lambda text: refused.done() or refused.set_result(text))

    def answer(message):
        identity.publish(message.reply, b"once")
        identity.publish(message.reply, b"twice")

    await identity.subscribe("rpc.identity.sign_in", answer, queue="identity")

    reply = await tool.request("rpc.identity.sign_in", b"", timeout_s=30)

    assert reply.payload == b"once"
    assert "Permissions Violation" in await asyncio.wait_for(refused, 30)


async def test_a_forbidden_publish_is_told_to_the_hooks(as_user):
    bus, told = await as_user("catalog"), asyncio.get_running_loop().create_future()
    bus.on_violation.append(told.set_result)

    bus.publish("rpc.runtime.start_run", b"")

    assert '"rpc.runtime.start_run"' in await asyncio.wait_for(told, 30)


async def test_a_streamed_answer_and_its_credit_pass(as_user):
    runtime, catalog = await as_user("runtime"), await as_user("catalog")
    parts, credit = asyncio.Queue(), asyncio.Queue()

    async def stream(reply):
        inbox = catalog.new_inbox()
        await catalog.subscribe(inbox, credit.put_nowait)
        for n in range(20):
            catalog.publish(reply, b"%d" % n, reply=inbox)

    tasks = []
    await catalog.subscribe(
        "rpc.catalog.download_artifact", lambda m: tasks.append(asyncio.ensure_future(stream(m.reply)))
    )
    inbox = runtime.new_inbox()
    await runtime.subscribe(inbox, parts.put_nowait)
    runtime.publish("rpc.catalog.download_artifact", b"", reply=inbox)

    for n in range(20):
        part = await asyncio.wait_for(parts.get(), 30)
        assert part.payload == b"%d" % n
        runtime.publish(part.reply, b"")
        await asyncio.wait_for(credit.get(), 30)


async def test_only_the_named_listener_pulls_from_a_durable(as_user):
    for name in ("catalog", "gateway", "identity"):
        consumer = PullConsumer(await as_user(name), "EVENTS_IDENTITY", "runtime_identity")
        with pytest.raises(PermissionViolation):
            await asyncio.wait_for(anext(consumer.messages()), 30)


async def test_a_follower_makes_and_changes_the_consumer_of_what_it_follows_and_no_other(as_user):
    runtime, catalog = await as_user("runtime"), await as_user("catalog")
    identity, heard = await as_user("identity"), asyncio.Queue()

    async def pull():
        async for delivery in PullConsumer(runtime, "EVENTS_IDENTITY", "runtime_follows_identity").messages():
            heard.put_nowait(delivery.subject)
            delivery.ack()

    async def tell(*entities):
        for entity in entities:
            subject, msg_id = f"event.identity.agent_created.org.{entity}", f"followed-{entity}"
            await store(identity, subject, b"{}", {}, msg_id=msg_id, timeout_s=30)

    await follow(runtime, "identity", "runtime", ["event.identity.agent_created.org.1"])
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        pulling = group.create_task(pull())
        await tell("2", "1")
        assert await heard.get() == "event.identity.agent_created.org.1"
        await follow(runtime, "identity", "runtime", ["event.identity.agent_created.org.3"])
        await tell("4", "3")
        assert await heard.get() == "event.identity.agent_created.org.3"
        pulling.cancel()

    subject, minute = "event.identity.agent_created.org.*", timedelta(seconds=60)
    told = [each async for each in past(runtime, "identity", subject, datetime.now(UTC) - minute)]
    assert [each.headers["Nats-Msg-Id"] for each in told] == [f"followed-{n}" for n in (2, 1, 4, 3)]
    assert [each.payload for each in told] == [b"{}"] * 4
    last_at = told[-1].stored_at - timedelta(milliseconds=1)
    assert [each async for each in past(runtime, "identity", subject, last_at)][-1:] == told[-1:]
    assert [each async for each in past(runtime, "identity", subject, last_at + minute)] == []
    with pytest.raises(PermissionViolation):
        await anext(past(catalog, "messaging", subject, last_at))
    with pytest.raises(PermissionViolation):
        await follow(catalog, "identity", "runtime", ["event.identity.>"])
    with pytest.raises(PermissionViolation):
        await follow(catalog, "identity", "catalog", ["event.identity.>"])
    with pytest.raises(PermissionViolation):
        await runtime.request("$JS.API.CONSUMER.CREATE.EVENTS_IDENTITY.catalog_identity", b"{}", timeout_s=30)


@pytest.mark.parametrize("name", NAMES)
async def test_every_service_hears_of_ended_sessions_and_answers_discovery(as_user, name):
    bus, heard = await as_user(name), asyncio.Queue()
    await bus.subscribe("event.identity.session_ended.>", heard.put_nowait)
    for subject in ("$SRV.PING", f"$SRV.PING.{name}", f"$SRV.INFO.{name}.id"):
        await bus.subscribe(subject, lambda m: bus.publish(m.reply, name.encode()))
    administrator = await as_user(ADMIN)

    administrator.publish("event.identity.session_ended.org.session", b"")
    reply = await administrator.request(f"$SRV.PING.{name}", b"", timeout_s=30)

    assert (await asyncio.wait_for(heard.get(), 30)).subject == "event.identity.session_ended.org.session"
    assert reply.payload == name.encode()


async def test_live_messages_reach_the_gateway(as_user):
    gateway, runtime, heard = await as_user("gateway"), await as_user("runtime"), asyncio.Queue()
    await gateway.subscribe("live.org.run.1", heard.put_nowait)

    runtime.publish("live.org.run.1", b"x")

    assert (await asyncio.wait_for(heard.get(), 30)).payload == b"x"


@pytest.mark.parametrize("name", NAMES)
async def test_a_service_tells_live_what_it_has_declared_and_nothing_of_others(as_user, name):
    bus, gateway, heard, refused = await as_user(name), await as_user("gateway"), [], []
    await gateway.subscribe("live.>", lambda message: heard.append(message.subject))
    bus.on_violation.append(refused.append)
    own = [f"live.org.{told.topic}.1" for told in live_topics(name)]
    others = [f"live.org.{told.topic}.1" for told in live_topics() if told.service != name]
    others += ["live.org.undeclared.1", "live.org", *(f"{subject}.more" for subject in own)]

    for subject in (*others, *own):
        bus.publish(subject, b"x")

    async def told():
        return len(refused) == len(others) and heard == own

    await eventually(told)
    assert all(f'"{subject}"' in text for subject, text in zip(others, refused, strict=True))


async def test_what_gateways_tell_each_other_no_other_service_says_or_hears(as_user):
    one, other, heard = await as_user("gateway"), await as_user("gateway"), asyncio.Queue()
    await one.subscribe("peer.gateway.taken.*", heard.put_nowait)

    for name in (name for name in NAMES if name != "gateway"):
        bus, told = await as_user(name), asyncio.get_running_loop().create_future()
        bus.on_violation.append(told.set_result)
        bus.publish("peer.gateway.taken.spy", b"forged")
        assert '"peer.gateway.taken.spy"' in await asyncio.wait_for(told, 30)
        for subject in ("peer.gateway.taken.*", "peer.>"):
            with pytest.raises(PermissionViolation):
                await bus.subscribe(subject, print)
    other.publish("peer.gateway.taken.other", b"true")

    assert (await asyncio.wait_for(heard.get(), 30)).payload == b"true"


async def test_the_server_tells_of_itself_to_the_system_user_alone(mesh, as_user, connect):
    system = await connect(mesh.url, user=SYSTEM, password=PASSWORDS[SYSTEM])
    reply = await system.request("$SYS.REQ.SERVER.PING", b"", timeout_s=30)

    assert json.loads(reply.payload)["server"]["name"] == "polis"
    with pytest.raises(NoResponders):
        await (await as_user(ADMIN)).request("$SYS.REQ.SERVER.PING", b"", timeout_s=30)
