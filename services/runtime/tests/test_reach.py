"""What steps reach outside of their run, on real servers: events, operations and files as whom the run acts as, secrets."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4, uuid5

import msgspec
import pytest

from polis.bus.permissions import ADMIN
from polis.graph import builtin, config_faults
from polis.proto import catalog, identity, runtime
from polis.proto.contract import operation_of
from polis.proto.graph import Graph, GraphInput, GraphOutput, Node
from polis.proto.problems import Forbidden, InFlight
from polis.runtime.shell.reaching import file_name
from polis.service import call
from polis.service.wire import encode_problem

pytestmark = pytest.mark.usefixtures("running")


def one(component: str, **config) -> Graph:
    return Graph(
        nodes={"n": Node(component, config)},
        inputs={"x": GraphInput("n.in")},
        outputs={"y": GraphOutput("n.out")},
    )


class Peers:
    """Identity's vault and the catalog's uploads and lists, as far as steps call them."""

    def __init__(self, bus):
        self.bus = bus
        self.asked = []
        self.parts: dict[int, bytes] = {}
        self.completed = False
        self.at_work = 0
        """Attempts that come while one before is still being answered."""

    async def play(self):
        for request in (
            catalog.ListResources, catalog.CreateUpload, catalog.PutPart, catalog.CompleteUpload, identity.LeaseSecret,
        ):  # fmt: skip
            operation = operation_of(request)

            def answer(message, operation=operation):
                decode = msgspec.msgpack.decode if operation.binary else msgspec.json.decode
                self._answer(message, decode(message.payload, type=operation.request))

            await self.bus.subscribe(operation.subject, answer, queue="played")

    def _answer(self, message, request):
        self.asked.append((request, message.headers))
        match request:
            case catalog.ListResources():
                found = {"items": []}
            case catalog.CreateUpload() if self.at_work:
                self.at_work -= 1
                self._refuse(message, InFlight())
                return
            case catalog.CreateUpload():
                found = catalog.Upload(id=uuid4(), part_bytes=4, expires_at=datetime.now(UTC))
            case catalog.PutPart() if self.completed:
                self._refuse(message, catalog.UploadNotFound(upload_id=request.upload_id))
                return
            case catalog.PutPart():
                self.parts[request.number] = request.content
                found = catalog.Part(request.number, len(request.content))
            case catalog.CompleteUpload():
                found = catalog.Artifact(
                    id=uuid4(), org_id=uuid4(), name="a.txt", media_type="text/plain", size=6, sha256=request.sha256,
                    created_by=uuid4(), created_at=datetime.now(UTC),
                )  # fmt: skip
            case identity.LeaseSecret():
                found = identity.SecretLease(request.secret_id, 1, "s3cret", datetime.now(UTC) + timedelta(minutes=1))  # fmt: skip
        self.bus.publish(message.reply, msgspec.json.encode(found))

    def _refuse(self, message, problem):
        headers = {call.ERROR_CODE: str(problem.status), call.ERROR: "x"}
        self.bus.publish(message.reply, encode_problem(problem), headers=headers)


@pytest.fixture(scope="module")
async def peers(stage, running):
    peers = Peers(await stage.bus(ADMIN))
    await peers.play()
    return peers


@pytest.fixture
def ended(ada, played):
    async def ended(graph, value):
        key = f"g-{uuid4().hex[:8]}"
        played.graphs[key] = graph
        run = await ada.call(runtime.StartRun(graph=key, input={"x": value}))
        while run.state not in ("succeeded", "failed", "cancelled"):
            await asyncio.sleep(0.01)
            run = await ada.call(runtime.GetRun(run.id))
        return run

    return ended


@pytest.fixture
async def rows(stage):
    import asyncpg

    admin = await asyncpg.connect(stage.database.admin_url)
    yield admin.fetch
    await admin.close()


async def test_a_step_tells_an_event_that_commits_with_its_run(ended, rows):
    run = await ended(one("event.emit", topic="order.placed", data="{'n': item.n}"), {"n": 3, "more": 1})

    assert run.state == "succeeded"
    query = "select id, payload from runtime.outbox where entity = $1 and fact = 'run_emitted'"
    found = await rows(query, str(run.id))
    told = [msgspec.json.decode(row["payload"], type=runtime.RunEmitted) for row in found]
    assert [(t.run_id, t.topic, t.data) for t in told] == [(run.id, "order.placed", {"n": 3})]
    assert told[0].key.startswith(str(run.id))
    assert found[0]["id"] == uuid5(run.id, told[0].key)


async def test_a_step_calls_an_operation_with_the_scope_that_it_wants_alone(ended, ada, peers):
    graph = one("service.call", operation="catalog.list_resources", arguments={"limit": 5})
    run = await ended(graph, {"type": "graph"})

    (request, headers) = peers.asked[-1]
    assert (run.state, request.limit, request.type) == ("succeeded", 5, "graph")
    assert headers[call.ORG] == str(ada.org_id)


async def test_whoever_may_not_call_an_operation_does_not_start_a_graph_that_does(
    played, caller, actors, refused
):
    played.graphs["deletes"] = one("service.call", operation="catalog.create_upload")
    viewer = actors.person("member", scope="runtime:run runtime:read catalog:read")
    viewer.caller = caller

    problem = await refused(viewer.call(runtime.StartRun(graph="deletes", input={"x": {}})))

    assert problem == Forbidden(scope="catalog:write")


async def test_a_step_writes_a_file_once(ended, peers):
    peers.parts.clear()
    run = await ended(one("file.write", name="a.txt", media_type="text/plain"), "abcdef")

    assert run.state == "succeeded"
    assert peers.parts == {0: b"abcd", 1: b"ef"}
    keys = {type(r): h[call.IDEMPOTENCY_KEY] for r, h in peers.asked if call.IDEMPOTENCY_KEY in h}
    assert keys[catalog.CreateUpload].startswith(f"{run.id}/n/")
    assert keys[catalog.CompleteUpload] == keys[catalog.CreateUpload].replace("#create", "#complete")

    peers.completed = True
    assert (await ended(one("file.write", name="a.txt"), "abcdef")).state == "succeeded"


async def test_what_an_attempt_before_is_still_at_work_on_is_asked_for_again(ended, peers):
    """Its answer was lost, or whoever made it has lost the run: the same key has the answer a moment later."""
    peers.completed, peers.at_work = False, 1
    run = await ended(one("file.write", name="a.txt"), "abcdef")

    assert run.state == "succeeded"
    keys = [h[call.IDEMPOTENCY_KEY] for r, h in peers.asked if isinstance(r, catalog.CreateUpload)]
    assert len({key for key in keys if key.startswith(f"{run.id}/")}) == 1
    assert keys[-2] == keys[-1]


async def test_a_file_is_stored_whatever_it_was_named_outside(ended, peers):
    peers.completed = False
    run = await ended(one("file.write", name="a\u202efdp.txt"), "abcdef")

    assert run.state == "succeeded"
    assert [r.name for r, _ in peers.asked if isinstance(r, catalog.CreateUpload)][-1] == "afdp.txt"


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("Rechnung März.pdf", "Rechnung März.pdf"),
        ("\u200fשם.pdf", "\u200fשם.pdf"),
        ("../../etc/passwd", ".._.._etc_passwd"),
        ("a\n\0b\u2028.txt", "ab.txt"),
        ("\u200b", "file"),
        ("\u202e", "file"),
        ("", "file"),
        ("..", "file"),
        ("x" * 300, "x" * 255),
    ],
)
def test_a_name_from_outside_is_made_one_that_the_catalog_takes(given, name):
    assert file_name(given) == name
    assert msgspec.convert(name, catalog.NewFileName) == name


async def test_a_secret_is_leased_for_whom_the_run_acts_as_and_stands_nowhere(ended, ada, peers, rows):
    secret_id = uuid4()
    run = await ended(one("text.hmac", secret_id=str(secret_id)), "abc")

    asked = [request for request, _ in peers.asked if isinstance(request, identity.LeaseSecret)]
    assert asked == [identity.LeaseSecret(ada.org_id, secret_id, ada.principal_id)]
    assert run.state == "succeeded"
    journal = await rows("select body from runtime.journal where run_id = $1", run.id)
    assert journal
    assert not any(b"s3cret" in row["body"] for row in journal)


@pytest.mark.parametrize(
    "operation",
    [
        "identity.create_grant",
        "identity.sign_in",
        "identity.create_secret",
        "catalog.download_artifact",
        "no.such",
    ],
)
def test_steps_may_not_call_what_decides_who_may_do_what(operation):
    faults = config_faults(builtin.components()["service.call"], {"operation": operation})

    assert [fault.pointer for fault in faults] == ["/operation"]
