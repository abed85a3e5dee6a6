"""Beside a service of nats-py's own micro framework, on one server, ours is told apart by its name only."""

from __future__ import annotations

import asyncio
import subprocess
import sysconfig
from pathlib import Path

import msgspec
import nats
import pytest
from nats import micro

from polis.bus import Bus
from polis.local.ports import free_port
from polis.proto.contract import operations
from polis.proto.registry import load
from polis.service.discovery import Discovery, metadata

load()
OPERATIONS = operations("catalog")


class Served:
    requests, errors, seconds, last_error = 3, 1, 0.5, "404:No."

    def __init__(self, operation):
        self.operation = operation


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    port = free_port()
    program = Path(sysconfig.get_path("scripts")) / "nats-server"
    server = subprocess.Popen([program, "-a", "127.0.0.1", "-p", str(port)], stderr=subprocess.DEVNULL)
    yield f"nats://127.0.0.1:{port}"
    server.kill()
    server.wait()


@pytest.fixture
async def client(url):
    client = await nats.connect(url, max_reconnect_attempts=100, reconnect_time_wait=0.05)
    yield client
    await client.close()


@pytest.fixture
async def theirs(client):
    """The oracle: the same operations served by nats.micro."""
    config = micro.service.ServiceConfig(name="theirs", version="1.2.3", queue_group="catalog")
    async with await micro.add_service(client, config) as service:
        for operation in OPERATIONS:
            await service.add_endpoint(
                name=operation.name,
                subject=operation.subject,
                handler=lambda request: request.respond(b""),
                metadata=metadata(operation),
            )
        yield service


@pytest.fixture
async def ours(url):
    bus = await Bus.connect(url, name="catalog")
    discovery = Discovery(bus, "catalog", [Served(operation) for operation in OPERATIONS])
    await discovery.start()
    await bus.flush(1.0)
    yield discovery
    await bus.close()


async def ask(client, subject, answers):
    """As many answers as there are services, by name: how discovery is done on NATS."""
    inbox = client.new_inbox()
    subscription = await client.subscribe(inbox)
    await client.publish(subject, reply=inbox)
    async with asyncio.timeout(30):
        told = [msgspec.json.decode((await subscription.next_msg(5)).data) for _ in range(answers)]
    await subscription.unsubscribe()
    return {answer["name"]: answer for answer in told}


def shape(value):
    """Keys and types, whatever the values."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    return [shape(value[0])] if isinstance(value, list) else type(value)


@pytest.mark.parametrize("verb", ["PING", "INFO", "STATS"])
async def test_one_question_is_answered_by_both_in_the_same_shape(client, theirs, ours, verb):
    told = await ask(client, f"$SRV.{verb}", answers=2)

    ours_told, theirs_told = shape(told["catalog"]), shape(told["theirs"])
    assert {k: v for k, v in ours_told.items() if k != "description"} == {
        k: v for k, v in theirs_told.items() if k != "description"
    }
    assert told["catalog"]["type"] == told["theirs"]["type"]


async def test_endpoints_are_told_alike(client, theirs, ours):
    told = await ask(client, "$SRV.INFO", answers=2)

    assert told["catalog"]["endpoints"] == told["theirs"]["endpoints"]


async def test_one_kind_and_one_process_can_be_asked_alone(client, theirs, ours):
    by_kind = await ask(client, "$SRV.PING.catalog", answers=1)
    by_id = await ask(client, f"$SRV.PING.catalog.{ours.me.id}", answers=1)

    assert by_kind == by_id
    assert by_kind["catalog"]["id"] == ours.me.id
