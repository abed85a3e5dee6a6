"""The catalog on real servers, and members of two orgs who call it."""

from __future__ import annotations

import asyncpg
import msgspec
import pytest

from polis.db import Database
from polis.proto import Refused
from polis.proto.catalog import ApplyChangeSet, CreateChangeSet
from polis.proto.contract import operation_of
from polis.proto.messaging import CheckFile, FileShown
from polis.service import call
from polis.telemetry import trace
from polis.testing import Person


class Member(Person):
    """Somebody of an org, who knows colleagues."""

    def __init__(self, caller, actors, role="owner", org_id=None, kind="user"):
        person = actors.person(role, org_id=org_id, kind=kind)
        super().__init__(caller, person.token, principal_id=person.principal_id, org_id=person.org_id)
        self._actors = actors

    def member(self, role):
        return Member(self.caller, self._actors, role, self.org_id)

    def agent(self):
        return Member(self.caller, self._actors, "agent", self.org_id, "agent")

    def stream(self, request):
        return self.caller.stream(request, token=self.token)

    async def send(self, request, fields):
        """Call with fields that no Struct would take."""
        operation = operation_of(request)
        headers = call.headers_of(token=self.token, org="", timeout_s=5, here=trace.start())
        reply = await self.caller.send(operation, msgspec.json.encode(fields), headers, timeout_s=5)
        return call.decode_answer(operation, reply)


@pytest.fixture(scope="module")
async def running(stage):
    return await stage.start("catalog", org_bytes=256 * 1024 * 1024, open_uploads=16, downloads=6)


@pytest.fixture(scope="module")
def limits(running):
    return running.kernel.settings


@pytest.fixture(scope="module")
async def actors(stage, running):
    return await stage.actors()


@pytest.fixture(scope="module")
async def caller(stage):
    """Calls as the gateway does, with no right on the bus beyond."""
    return await stage.caller("gateway")


@pytest.fixture(scope="module", autouse=True)
async def sent(stage, running):
    """Files and to whom they were sent, as a played messaging knows."""
    bus, known = await stage.bus("messaging"), set()

    def answer(message):
        asked = msgspec.json.decode(message.payload, type=CheckFile)
        shown = (asked.artifact_id, asked.owner_id, asked.principal_id) in known
        bus.publish(message.reply, msgspec.json.encode(FileShown(shown)))

    await bus.subscribe(operation_of(CheckFile).subject, answer, queue="messaging")
    return known


@pytest.fixture
def ada(caller, actors):
    return Member(caller, actors)


@pytest.fixture
def ben(caller, actors):
    return Member(caller, actors)


@pytest.fixture(scope="module")
async def sql(stage):
    """What the database holds, seen by its administrator."""
    connection = await asyncpg.connect(stage.database.admin_url)
    yield connection.fetch
    await connection.close()


@pytest.fixture(scope="module")
async def database(stage, running):
    """The database as the service sees it, over connections of the test's own."""
    database = await Database.open(stage.database.url("app_catalog"), service="catalog", size=4)
    yield database
    await database.close()


@pytest.fixture
def facts(sql):
    """The events that an org has emitted, in order: fact and entity."""

    async def facts(org_id):
        rows = await sql("select fact, entity from catalog.outbox where org_id = $1 order by n", org_id)
        return [tuple(row) for row in rows]

    return facts


@pytest.fixture
def refused():
    async def refused(awaitable):
        with pytest.raises(Refused) as caught:
            await awaitable
        return caught.value.problem

    return refused


@pytest.fixture
def propose(ada):
    async def propose(*changes, client=ada, review=False):
        return await client.call(CreateChangeSet("A set", changes, review=review))

    return propose


@pytest.fixture
def make(ada, propose):
    async def make(*changes, client=ada):
        return await client.call(ApplyChangeSet((await propose(*changes, client=client)).id))

    return make
