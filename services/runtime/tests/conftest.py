"""The runtime on real servers, with a catalog and an identity that are played on the bus."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest

from polis.bus.jetstream import store
from polis.bus.permissions import ADMIN
from polis.db import Database
from polis.graph import builtin, digest
from polis.proto import Refused, catalog, runtime
from polis.proto.contract import operation_of
from polis.proto.graph import Component, Edge, Graph, GraphInput, GraphOutput, Node, Port
from polis.proto.problems import Unauthenticated, Unavailable
from polis.runtime import component
from polis.runtime.component import Implementation
from polis.service import call, envelope, stream
from polis.service.wire import encode_problem
from polis.testing import eventually


class FakeCatalog:
    """Answers for graphs by key and files by id; components are the shipped ones and those of the tests."""

    def __init__(self, bus):
        self.bus = bus
        self.graphs: dict[str, Graph] = {}
        self.components = dict(builtin.components())
        self.files: dict[UUID, bytes] = {}
        self.tokens: list[str] = []
        self.ended: set[str] = set()
        """Tokens that hold no more."""
        self.cuts: list[int] = []
        """After how many parts the next downloads break, the last one first."""
        self.resolved = 0

    async def play(self):
        for request, answer in (
            (catalog.ResolveResource, self._resolve),
            (catalog.DownloadArtifact, self._download),
        ):
            await self.bus.subscribe(operation_of(request).subject, answer, queue="catalog")

    def _resolve(self, message):
        asked = msgspec.json.decode(message.payload, type=catalog.ResolveResource)
        found = (self.graphs if asked.type == "graph" else self.components).get(asked.key)
        self.resolved += 1
        if found is None:
            problem = catalog.ResourceNotFound(resource=asked.key)
            headers = {call.ERROR_CODE: "404", call.ERROR: problem.title}
            self.bus.publish(message.reply, encode_problem(problem), headers=headers)
            return
        content = msgspec.to_builtins(found) if isinstance(found, msgspec.Struct) else found
        version = catalog.Version(
            resource_id=uuid4(), type=asked.type, key=asked.key, number=1, digest=digest(content), content=content,
            changelog="", published_by=uuid4(), published_at=datetime.now(UTC),
        )  # fmt: skip
        self.bus.publish(message.reply, msgspec.json.encode(version))

    def _download(self, message):
        asked = msgspec.msgpack.decode(message.payload, type=catalog.DownloadArtifact)
        self.tokens.append(message.headers[call.ACTOR])
        content = self.files[asked.artifact_id]
        parts = self.cuts.pop() if self.cuts else None
        self.task = asyncio.get_running_loop().create_task(self._send(message.reply, content, parts))

    async def _send(self, reply, content, cut):
        async def parts():
            if self.tokens[-1] in self.ended:
                raise Refused(Unauthenticated())
            for number, start in enumerate(range(0, len(content), 65536)):
                if number == cut:
                    raise Refused(Unavailable(dependency="postgresql"))
                yield content[start : start + 65536]

        try:
            await stream.send(self.bus, reply, parts())
        except Refused as refusal:
            headers = {call.ERROR_CODE: str(refusal.problem.status), call.ERROR: refusal.problem.title}
            self.bus.publish(reply, encode_problem(refusal.problem), headers=headers)


class Effects:
    """Components of the tests, and what they did: `effect` waits until the gate opens, then counts itself by key."""

    def __init__(self):
        self.gate = asyncio.Event()
        self.gate.set()
        self.keys: list[str] = []
        self.begun: list[str] = []

    async def effect(self, step, inputs):
        self.begun.append(step.key)
        await self.gate.wait()
        self.keys.append(step.key)
        step.emit("out", inputs["in"])

    async def wait(self, step, inputs):
        await self.gate.wait()
        step.emit("out", inputs["in"])


def line(*keys: str, **fields) -> Graph:
    """n0 -> n1 -> ..., from the input `x` to the output `y`."""
    return Graph(
        nodes={f"n{i}": Node(key) for i, key in enumerate(keys)},
        edges=tuple(Edge(f"n{i}.out", f"n{i + 1}.in") for i in range(len(keys) - 1)),
        inputs={"x": GraphInput("n0.in")},
        outputs={"y": GraphOutput(f"n{len(keys) - 1}.out", many=True)},
        **fields,
    )


@pytest.fixture(scope="session")
def graph_of():
    return line


@pytest.fixture(scope="module")
async def played(stage):
    fake = FakeCatalog(await stage.bus("catalog"))
    await fake.play()
    return fake


@pytest.fixture(scope="module")
def components(played):
    effects = Effects()
    for key, task, pure in (("test.effect", effects.effect, False), ("test.wait", effects.wait, True)):
        described = Component(
            key, key, inputs={"in": Port()}, outputs={"out": Port()}, pure=pure, scopes=("catalog:read",)
        )
        played.components[key] = described
        component._implementations[key] = Implementation(described, task=task)
    yield effects
    for key in ("test.effect", "test.wait"):
        del component._implementations[key]


@pytest.fixture
def effects(components):
    components.gate.set()
    components.keys.clear()
    components.begun.clear()
    return components


@pytest.fixture(scope="module")
async def actors(stage, played):
    return await stage.actors()


@pytest.fixture(scope="module")
async def running(stage, actors):
    # However slow the machine is, that is none of the facts.
    return await stage.start("runtime", lease_s=1.0, slow_after_s=600.0)


@pytest.fixture(scope="module")
async def caller(stage):
    return await stage.caller("gateway")


@pytest.fixture
def ada(actors, running, caller):
    person = actors.person("member")
    person.caller = caller
    return person


@pytest.fixture
def start(ada, played):
    """Start a run of a graph, under a name of its own."""

    async def start(graph, x=1, **fields):
        key = f"graph{len(played.graphs)}"
        played.graphs[key] = graph
        return await ada.call(runtime.StartRun(graph=key, input={"x": x}, **fields))

    return start


@pytest.fixture
def ended(ada):
    """A run, once it has ended."""

    async def ended(run, within_s=15):
        async def look():
            found = await ada.call(runtime.GetRun(run_id=run.id))
            return found if found.state in runtime.TERMINAL else None

        return await eventually(look, within_s=within_s)

    return ended


@pytest.fixture
async def admin(stage):
    """A connection that sees everything."""
    connection = await asyncpg.connect(stage.database.admin_url)
    yield connection
    await connection.close()


@pytest.fixture
async def database(stage):
    """What the runtime itself may do with its schema."""
    database = await Database.open(stage.database.url("app_runtime"), service="runtime", size=2)
    yield database
    await database.close()


@pytest.fixture
def tell(stage):
    """Publish an event as its service would."""

    async def tell(event):
        subject, headers, payload = envelope.encode(event, uuid4(), datetime.now(UTC))
        bus = await stage.bus(ADMIN)
        await store(bus, subject, payload, headers, msg_id=headers["Nats-Msg-Id"], timeout_s=5)

    return tell


@pytest.fixture(scope="session")
def refused():
    async def problem(call):
        with pytest.raises(Refused) as caught:
            await call
        return caught.value.problem

    return problem
