"""A catalog that is played, with activations; and what a test needs to see triggers fire."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg
import msgspec
import pytest

from polis.bus.permissions import ADMIN
from polis.graph import digest
from polis.proto import Page, catalog, runtime
from polis.proto.contract import operation_of
from polis.proto.identity import ROLE_SCOPES, LeaseSecret, SecretLease, SignInClient
from polis.service import call
from polis.service.wire import encode_problem
from polis.testing import Person, eventually

KEY = b"a key that both sides have"


class Catalog:
    """Activations, and what the runtime asks of them."""

    def __init__(self, bus, played, tell):
        self.bus = bus
        self.played = played
        self.tell = tell
        self.active: dict[tuple, catalog.Effective] = {}

    async def play(self):
        await self.bus.subscribe(operation_of(catalog.GetEffective).subject, self._get, queue="catalog")
        await self.bus.subscribe(operation_of(catalog.ListEffective).subject, self._list, queue="catalog")
        await self.bus.subscribe(operation_of(LeaseSecret).subject, self._lease, queue="identity")

    async def activate(
        self, person, key, graph, *, resource_id=None, number=1, told=True, status="published", scopes=None
    ):
        """Make a version active in production, as this person."""
        resource_id = resource_id or uuid4()
        content = msgspec.to_builtins(graph)
        self.played.graphs[key] = graph
        self.active[person.org_id, resource_id] = catalog.Effective(
            person.org_id, resource_id, "graph", key, "production", number, status, person.principal_id,
            datetime.now(UTC), content, tuple(ROLE_SCOPES["member"] if scopes is None else scopes),
        )  # fmt: skip
        assert digest(content)
        if told:
            await self.tell(catalog.VersionActivated(person.org_id, resource_id, "production", number))
        return resource_id

    async def deactivate(self, person, resource_id):
        gone = self.active.pop((person.org_id, resource_id))
        await self.tell(catalog.VersionDeactivated(person.org_id, resource_id, gone.environment, gone.number))

    def _get(self, message):
        asked = msgspec.json.decode(message.payload, type=catalog.GetEffective)
        found = self.active.get((asked.org_id, asked.resource_id))
        if found is not None:
            self.bus.publish(message.reply, msgspec.json.encode(found))
            return
        problem = catalog.NotActive(environment=asked.environment)
        self.bus.publish(
            message.reply,
            encode_problem(problem),
            headers={call.ERROR_CODE: "404", call.ERROR: problem.title},
        )

    def _list(self, message):
        items = tuple(
            catalog.EffectiveGraph(a.org_id, a.resource_id, a.environment, a.number)
            for a in self.active.values()
            if a.content.get("triggers")
        )
        self.bus.publish(message.reply, msgspec.json.encode(Page(items)))

    def _lease(self, message):
        asked = msgspec.json.decode(message.payload, type=LeaseSecret)
        value = "whsec_" + base64.b64encode(KEY).decode()
        lease = SecretLease(asked.secret_id, 1, value, datetime.now(UTC) + timedelta(seconds=60))
        self.bus.publish(message.reply, msgspec.json.encode(lease))


@pytest.fixture(scope="module")
async def activations(stage, played, actors, running):
    """What is active; both it and the runtime are there for the whole file."""
    fake = Catalog(await stage.bus(ADMIN), played, None)
    await fake.play()
    return fake


@pytest.fixture(scope="module")
async def second(stage, activations):
    """Another process of the runtime."""
    return await stage.start("runtime", instance="second", lease_s=1.0)


@pytest.fixture
def active(activations, tell):
    activations.tell = tell
    return activations


@pytest.fixture(scope="module")
async def mesh(stage, actors, running, caller):
    """The gateway as itself."""
    signed_in = await caller.call(SignInClient("gateway", "secret"))
    return Person(caller, signed_in.access_token, principal_id=uuid4(), org_id=uuid4())


@pytest.fixture
async def sql(stage):
    admin = await asyncpg.connect(stage.database.admin_url)
    yield admin
    await admin.close()


@pytest.fixture
def trigger_of():
    """The one trigger of a name, once it is as it should be."""

    async def found(person, name, as_it_should=lambda _: True, within_s=10.0):
        async def look():
            page = await person.call(runtime.ListTriggers())
            there = [t for t in page.items if t.name == name and as_it_should(t)]
            return there[0] if there else None

        return await eventually(look, within_s=within_s)

    return found


@pytest.fixture
def runs_of(sql):
    """Runs that a trigger has started, by what for."""

    async def found(trigger_id):
        rows = await sql.fetch(
            "select id, occurrence, input, actor_id, chain, state from runtime.runs where trigger_id = $1 order by id",
            trigger_id,
        )
        return list(rows)

    return found
