"""What nobody may find: secrets in the database, in events and in the log; rows of another org."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import time
from uuid import uuid4

import asyncpg
import msgspec
import pytest
import structlog

from polis.db.lint import faults
from polis.identity.access.keys import mint
from polis.identity.people import accounts, totp
from polis.proto import Refused
from polis.proto.identity import (
    ChangePassword,
    ClaimAdministrator,
    ConfirmTotp,
    CreateAgent,
    CreateKey,
    CreateRole,
    CreateUnit,
    Delegate,
    DeleteAgent,
    EnrolTotp,
    ForgotPassword,
    GiveGrant,
    Holder,
    InviteMember,
    Refresh,
    ReserveUsage,
    ResetPassword,
    RotateCredential,
    RotateKey,
    SetQuota,
    SignIn,
    SignInClient,
    SignInKey,
    SignInSecondFactor,
    SignUp,
    Subject,
)
from polis.telemetry import configure

PASSWORD = "canary-password"
ANY_SESSION = (
    "update identity.refresh_tokens set used_at = used_at - interval '1 hour' where used_at is not null"
)
TENANT = (
    "orgs",
    "memberships",
    "invitations",
    "agents",
    "credentials",
    "units",
    "roles",
    "api_keys",
    "grants",
    "quotas",
    "usages",
    "reservations",
)


@pytest.fixture(scope="module")
def log():
    """The log of the service that the other fixtures start behind this one."""
    stream = io.BytesIO()
    configure("identity", stream=stream)
    yield stream
    structlog.reset_defaults()


@pytest.fixture(scope="module")
async def running(log, serve):
    async with serve() as running:
        running.kernel.requests._stream = log
        yield running


@pytest.fixture
async def canaries(log, running, anybody, ada, as_service, mesh_secret, rows, monkeypatch):
    """Patterns of everything secret that a busy day brings about, also by refused, repeated and failing calls."""

    async def refuse(request):
        with pytest.raises(Refused):
            await anybody.call(request, key=f"w-{uuid4()}")

    invited = await ada.call(InviteMember("x@example.org"), key=f"i-{ada.id}")
    agent = await ada.call(CreateAgent("canary", "Canary"), key=f"a-{ada.id}")
    request = SignUp(f"{uuid4().hex}@example.org", PASSWORD, "Ben")
    signed_up = await anybody.call(request, key=f"s-{ada.id}")
    await anybody.call(request, key=f"s-{ada.id}")
    renewed = await anybody.call(Refresh(ada.refresh_token))
    client = await anybody.call(SignInClient(agent.client_id, agent.client_secret))
    runtime = await as_service("runtime")
    acting = await runtime.call(Delegate(ada.org_id, agent.agent.id, ("catalog:read",)))
    key = await ada.call(CreateKey("canary", ("catalog:read",)), key=f"k-{ada.id}")
    rotated = await ada.call(RotateKey(key.key.id), key=f"r-{ada.id}")
    traded = await (await as_service("gateway")).call(SignInKey(rotated.secret))
    credential = await ada.call(RotateCredential("canary"), key=f"c-{ada.id}")
    for wrong in (
        SignInKey(mint(uuid4()).secret),
        SignIn(ada.email, "canary-wrong-password"),
        SignUp(ada.email, "canary-taken-password", "Ada"),
        Refresh("prt_canary-refresh"),
        Refresh(ada.refresh_token),
        SignInClient(agent.client_id, "pas_canary"),
        ClaimAdministrator("pal_canary", "x@example.org", "canary-admin-password", "X"),
        SignUp("y@example.org", "canary-invited-password", "Y", invitation="pin_canary"),
        SignInSecondFactor("pst_canary", "canary-code"),
        ResetPassword("ppr_canary", "canary-reset-password"),
    ):
        await refuse(wrong)
    await ada.call(DeleteAgent("canary"))
    proofs = await second_factor(ada, anybody)
    await rows(ANY_SESSION)
    await refuse(Refresh(ada.refresh_token))
    with monkeypatch.context() as broken:
        broken.setattr(accounts, "create", _fail)
        await refuse(SignUp(f"{uuid4().hex}@example.org", "canary-failed-password", "Ada"))
    tokens = [session.access_token for session in (ada, signed_up, renewed, client, acting, traded)]
    tokens += [session.refresh_token for session in (ada, signed_up, renewed)]
    named = [
        *proofs,
        mesh_secret,
        invited.token,
        runtime.token,
        *tokens,
        *(t.rpartition(".")[2] for t in tokens),
    ]
    named += [key.secret, rotated.secret, credential.client_secret]
    return [r"canary-", r"\bp(as|rt|in|al|pr|st)_", r"\bpk_\w+_\w", *(re.escape(name) for name in named)]


async def second_factor(ada, anybody):
    """What proves a person who changes the password, forgets it and has a second factor."""
    await ada.call(ChangePassword(PASSWORD, "canary-changed-password"))
    await anybody.call(ForgotPassword(ada.email))
    secret = (await ada.call(EnrolTotp())).secret
    code = totp.code_of(base64.b32decode(secret), int(time.time()) // totp.STEP_S)
    codes = (await ada.call(ConfirmTotp(code))).recovery_codes
    with pytest.raises(Refused) as refusal:
        await anybody.call(SignIn(ada.email, "canary-changed-password"))
    ticket = refusal.value.problem.ticket
    await anybody.call(SignInSecondFactor(ticket, codes[0]))
    return [secret, base64.b32decode(secret).hex(), ticket, *codes]


async def _fail(*_):
    raise RuntimeError("a defect of ours")


def found(canaries, text):
    return [canary for canary in canaries if re.search(canary, text)]


async def test_no_secret_is_in_the_database(canaries, rows):
    dump = ""
    for table in await rows("select tablename as name from pg_tables where schemaname = 'identity'"):
        lines = await rows(f'select to_jsonb(t)::text as line from identity."{table["name"]}" t')
        dump += "".join(line["line"] + "\n" for line in lines)
    # Bytes are shown in hex: as text, too.
    dump += "".join(
        bytes.fromhex(hexed).decode("latin-1") for hexed in re.findall(r'"\\\\x([0-9a-f]+)"', dump)
    )

    assert "agent_deleted" in dump
    assert '"agent_id":"' in dump, "payloads were not read"
    assert found(canaries, dump) == []


async def test_a_stored_request_cannot_be_guessed_with_a_fast_hash(canaries, rows):
    """A plain hash of a sign-up under an idempotency key would be a plain hash of its password."""
    address = await rows("select email from identity.accounts where name = 'Ben' order by id desc limit 1")
    guess = msgspec.json.encode(SignUp(address[0]["email"], PASSWORD, "Ben"))

    stored = {row["fingerprint"] for row in await rows("select fingerprint from identity.idempotency")}

    assert len(stored) >= 3
    assert hashlib.sha256(guess).digest() not in stored


async def test_no_secret_is_in_an_event(canaries, rows):
    events = "\n".join(
        row["event"] for row in await rows("select to_jsonb(o)::text as event from identity.outbox o")
    )
    payloads = "\n".join(row["payload"].decode() for row in await rows("select payload from identity.outbox"))

    assert "agent_created" in events
    assert found(canaries, events + payloads) == []


async def test_no_secret_and_no_address_is_in_the_log(canaries, log):
    text = log.getvalue().decode()

    for told in ("sign_up", "refresh_token.reused", "request.failed", "a defect of ours"):
        assert told in text
    assert found([*canaries, "@example.org"], text) == []


async def test_the_schema_breaks_no_rule_of_tenancy(running, app_url):
    assert [fault for fault in await faults(app_url) if "identity" in fault] == []


class TestRows:
    """Raw SQL as the service's own role, with another org or none set."""

    @pytest.fixture
    async def app(self, app_url):
        connection = await asyncpg.connect(app_url)
        yield connection
        await connection.close()

    @pytest.fixture
    async def filled(self, ada, ben, as_service):
        for person in (ada, ben):
            await person.call(CreateAgent("x", "X"))
            await person.call(InviteMember("x@example.org"))
            await person.call(CreateUnit("project", "x", "X"))
            await person.call(CreateRole("x", "X", ("catalog:read",)))
            await person.call(CreateKey("x", ("catalog:read",)))
            await person.call(GiveGrant(Holder("everyone"), "catalog:read", "graph/x"))
            await person.call(SetQuota(Subject("org"), "runs", "day", 1))
            runtime = await as_service("runtime")
            await runtime.call(ReserveUsage(person.org_id, uuid4(), person.id, "runs", 1))
        return ada, ben

    @pytest.mark.parametrize("table", TENANT)
    async def test_an_org_sees_and_changes_its_own_rows_alone(self, app, filled, table):
        ada, ben = filled
        async with app.transaction():
            await app.execute("select set_config('polis.orgs', $1, true)", f"{{{ada.org_id}}}")
            orgs = {row["org_id"] for row in await app.fetch(f"select org_id from identity.{table}")}
            assert orgs == {ada.org_id}
            changed = await app.execute(
                f"update identity.{table} set org_id = org_id where org_id = $1", ben.org_id
            )
            assert changed == "UPDATE 0"

    @pytest.mark.parametrize("table", TENANT)
    async def test_without_an_org_there_are_no_rows(self, app, filled, table):
        assert await app.fetch(f"select from identity.{table}") == []

    @pytest.mark.parametrize("table", ["memberships", "invitations", "agents", "credentials"])
    async def test_nothing_is_deleted_in_or_moved_to_another_org(self, app, filled, table):
        ada, ben = filled
        transaction = app.transaction()
        await transaction.start()
        await app.execute("select set_config('polis.orgs', $1, true)", f"{{{ada.org_id}}}")
        assert await app.execute(f"delete from identity.{table} where org_id = $1", ben.org_id) == "DELETE 0"
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.execute(f"update identity.{table} set org_id = $1", ben.org_id)
        await transaction.rollback()

    @pytest.mark.parametrize(
        ("table", "columns"),
        [
            ("passwords", "hash"),
            ("refresh_tokens", "hash"),
            ("signing_keys", "sealed"),
            ("administrator_link", "token_hash"),
            ("administrators", "account_id"),
        ],
    )
    async def test_an_orgs_transaction_reads_no_secret_of_the_mesh(self, app, running, table, columns):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.fetch(f"select {columns} from identity.{table}")

    async def test_a_credential_cannot_belong_to_another_orgs_agent(self, app, filled, rows):
        ada, ben = filled
        foreign = (await rows("select id from identity.agents where org_id = $1", ben.org_id))[0]["id"]
        async with app.transaction():
            await app.execute("select set_config('polis.orgs', $1, true)", f"{{{ada.org_id}}}")
            with pytest.raises(asyncpg.ForeignKeyViolationError):
                async with app.transaction():
                    await app.execute(
                        "insert into identity.credentials (org_id, id, agent_id, secret_hash, created_at) "
                        "values ($1, $2, $3, sha256('x'), now())",
                        ada.org_id,
                        uuid4(),
                        foreign,
                    )
