"""A running identity service, and people, agents and services who call it through the bus."""

from __future__ import annotations

from contextlib import asynccontextmanager
from uuid import uuid4

import asyncpg
import msgspec
import pytest

from polis.bus.permissions import ADMIN
from polis.identity.service import service
from polis.identity.tokens import issue
from polis.proto import Refused, identity
from polis.proto.problems import Unauthenticated
from polis.service import Secret, serving
from polis.testing import eventually

MESH_SECRET = "canary-mesh-secret-" + "x" * 32
PASSWORD = "canary-password"


@pytest.fixture
def mesh_secret():
    return MESH_SECRET


@pytest.fixture(scope="module")
def app_url(stage):
    return stage.database.url("app_identity")


@pytest.fixture(scope="module")
async def rows(stage):
    """What the database holds, seen by its administrator."""
    connection = await asyncpg.connect(stage.database.admin_url)
    yield connection.fetch
    await connection.close()


@pytest.fixture(scope="module")
def serve(stage):
    """Runs identity with other settings than those of the tests. One at a time: services share their requests."""

    @asynccontextmanager
    async def serve(**changes):
        credential = issue.credential_of("identity", MESH_SECRET)
        known = {"mesh_secret": Secret(MESH_SECRET), "credential": Secret(credential), "hash_queue": 1000}
        known |= dict.fromkeys(("sign_in_burst", "address_burst", "code_burst", "forgotten_burst"), 1_000_000)
        async with serving(service, stage.settings("identity", **(known | changes))) as running:
            yield running

    return serve


@pytest.fixture(scope="module")
async def running(serve):
    async with serve() as running:
        yield running


@pytest.fixture(scope="module")
async def anybody(stage):
    return Somebody(await stage.caller(ADMIN))


class Somebody:
    """A caller with an access token, or without one."""

    def __init__(self, caller, token="", me=None):
        self.caller, self.token, self.me = caller, token, me
        self.client = None

    async def call(self, request, *, key="", org=""):
        return await self.caller.call(
            request, token=self.token, org=str(org), idempotency_key=key, timeout_s=20.0, client=self.client
        )

    def using(self, token):
        return Somebody(self.caller, token, self.me)


class Person(Somebody):
    """A user in the session that a sign-up gave."""

    def __init__(self, caller, session, email):
        super().__init__(caller, session.access_token, session.me)
        self.session, self.email = session, email
        self.id, self.org_id = session.me.principal.id, session.me.org_id
        self.session_id, self.access_token = session.session_id, session.access_token
        self.refresh_token = session.refresh_token


@pytest.fixture
def email():
    return lambda name="ada": f"{name}-{uuid4().hex[:12]}@example.org"


@pytest.fixture
async def sign_up(running, anybody, email):
    """Makes a person with an org of its own."""

    async def sign_up(name="Ada", **more):
        address = more.pop("email", None) or email(name.lower())
        session = await anybody.call(identity.SignUp(address, PASSWORD, name, **more))
        return Person(anybody.caller, session, address)

    return sign_up


@pytest.fixture
async def ada(sign_up):
    return await sign_up("Ada")


@pytest.fixture
async def ben(sign_up):
    return await sign_up("Ben")


@pytest.fixture
async def join(anybody, sign_up):
    """Makes a person who is in somebody's org by invitation."""

    async def join(owner, role, name="Cem"):
        invited = await owner.call(identity.InviteMember(f"{uuid4().hex}@example.org", role))
        return await sign_up(name, email=invited.email, invitation=invited.token)

    return join


@pytest.fixture
async def as_service(running, anybody):
    async def as_service(name):
        token = await anybody.call(identity.SignInClient(name, issue.credential_of(name, MESH_SECRET)))
        return anybody.using(token.access_token)

    return as_service


@pytest.fixture
def refused():
    """The problem that a call is refused with."""

    async def refused(call):
        with pytest.raises(Refused) as refusal:
            await call
        return refusal.value.problem

    return refused


@pytest.fixture
def facts(rows):
    """The events of an org that are committed, oldest first."""

    async def facts(org_id, kind=None):
        found = await rows("select fact, payload from identity.outbox where org_id = $1 order by n", org_id)
        events = [(row["fact"], msgspec.json.decode(row["payload"])) for row in found]
        return events if kind is None else [event for fact, event in events if fact == kind]

    return facts


@pytest.fixture
def ended(anybody):
    """Wait until the access tokens of sessions are refused."""

    async def ended(*sessions):
        for session in sessions:
            caller = anybody.using(session.access_token)

            async def is_refused(caller=caller):
                try:
                    await caller.call(identity.GetMe())
                except Refused as refusal:
                    return refusal.problem == Unauthenticated()
                return False

            await eventually(is_refused)

    return ended
