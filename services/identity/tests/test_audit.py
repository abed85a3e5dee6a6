"""The audit log: chained, verified, cut at its beginning, and closed to changes."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from uuid import uuid4

import asyncpg
import pytest

from polis.db import Database
from polis.identity.audit import log
from polis.identity.audit.log import record
from polis.identity.audit.retention import cut
from polis.identity.audit.verify import verify
from polis.identity.tokens.keys import utc_now
from polis.proto.identity import (
    AuditLink,
    BrokenLink,
    ExportAudit,
    ListAudit,
    SignIn,
    SignUp,
    VerifyAudit,
)
from polis.proto.problems import Forbidden
from polis.service import Context

SWAP = """
    with two as (select n, subject from identity.audit where org_id = $1 and n in (2, 3))
    update identity.audit a set subject = t.subject from two t where a.org_id = $1 and a.n = 5 - t.n
"""

FORGED = """
    insert into identity.audit (org_id, n, at, action, actor_id, subject, detail, hash)
    select org_id, 9, at, 'thing.done', actor_id, 'never', detail, hash from identity.audit where org_id = $1 and n = 6
"""


@pytest.fixture
async def database(app_url):
    database = await Database.open(app_url, service="identity", size=4)
    yield database
    await database.close()


@pytest.fixture
def write(database):
    async def write(org_id, action="thing.done", *, at=None, **more):
        async with database.transaction([org_id]) as tx:
            await record(tx, org_id=org_id, action=action, actor_id=uuid4(), at=at or utc_now(), **more)

    return write


async def test_records_of_an_org_are_numbered_without_gaps_whoever_writes_at_once(write, rows):
    org = uuid4()

    await asyncio.gather(*(write(org, subject=str(n)) for n in range(40)))

    stored = await rows("select n, subject from identity.audit where org_id = $1 order by n", org)
    assert [row["n"] for row in stored] == list(range(1, 41))
    assert {row["subject"] for row in stored} == {str(n) for n in range(40)}


async def test_what_is_undone_leaves_no_gap(database, write, rows):
    org = uuid4()
    await write(org)
    with contextlib.suppress(RuntimeError):
        async with database.transaction([org]) as tx:
            await record(tx, org_id=org, action="thing.done", actor_id=None, at=utc_now())
            raise RuntimeError
    await write(org)

    assert [r["n"] for r in await rows("select n from identity.audit where org_id = $1 order by n", org)] == [
        1,
        2,
    ]


@pytest.mark.parametrize("role", ["app_identity", "identity_system"])
@pytest.mark.parametrize(
    "change",
    [
        "update identity.audit set subject = 'x'",
        "delete from identity.audit",
        "truncate identity.audit",
        "delete from identity.audit_cuts",
        "update identity.audit_cuts set n = 0",
        "delete from identity.audit_heads",
    ],
)
async def test_the_database_refuses_to_change_or_remove_records(app_url, write, change, role):
    org = uuid4()
    await write(org)
    app = await asyncpg.connect(app_url)
    try:
        await app.execute(f"set role {role}")
        await app.execute("select set_config('polis.orgs', $1, false)", f"{{{org}}}")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.execute(change)
    finally:
        await app.close()


class TestOperations:
    async def test_what_was_done_is_listed_newest_first_page_by_page(self, ada, write):
        for n in range(5):
            await write(ada.org_id, subject=str(n), detail={"why": "a test"})

        first = await ada.call(ListAudit(limit=3, action="thing.done"))
        rest = await ada.call(ListAudit(limit=3, action="thing.done", after=first.next_cursor))

        assert [told.subject for told in (*first.items, *rest.items)] == ["4", "3", "2", "1", "0"]
        assert first.items[0].detail == {"why": "a test"}
        assert rest.next_cursor is None

    async def test_records_are_found_by_who_did_what(self, ada, write):
        await write(ada.org_id, "thing.done")
        await write(ada.org_id, "thing.undone")

        undone = (await ada.call(ListAudit(action="thing.undone"))).items[0]

        assert (await ada.call(ListAudit(actor_id=undone.actor_id))).items == (undone,)

    async def test_an_org_sees_its_own_log_alone(self, ada, ben, write):
        await write(ben.org_id, subject="bens")

        assert "bens" not in {told.subject for told in (await ada.call(ListAudit())).items}

    async def test_members_do_not_read_it(self, ada, join, refused):
        member = await join(ada, "member")

        assert await refused(member.call(ListAudit())) == Forbidden(scope="identity:audit")

    async def test_an_export_is_everything_in_order_and_is_noted_itself(self, ada, write, stage):
        for n in range(3):
            await write(ada.org_id, subject=str(n))

        gateway = await stage.caller("gateway")
        exported = [told async for told in gateway.stream(ExportAudit(), token=ada.token)]

        assert [told.n for told in exported] == list(range(1, len(exported) + 1))
        assert exported[-1].action == "audit.exported"
        state = await ada.call(VerifyAudit())
        assert state.end == AuditLink(exported[-1].n, exported[-1].hash)

    async def test_text_that_the_database_would_not_take_is_told_as_far_as_possible(self, ada, write):
        await write(ada.org_id, subject="a\0b" + "x" * 1000, detail={"name": "\ud800 'é' \u2028"})

        told = (await ada.call(ListAudit(action="thing.done"))).items[0]

        assert (told.subject[:3], len(told.subject)) == ("abx", 400)
        assert told.detail == {"name": "? 'é' \u2028"}
        assert (await ada.call(VerifyAudit())).broken is None


class TestVerification:
    @pytest.fixture
    async def org(self, write):
        org = uuid4()
        for n in range(6):
            await write(org, subject=str(n))
        return org

    @pytest.fixture
    def state(self, database):
        async def state(org, after=None, noted=None, **more):
            async with database.transaction([org]) as tx:
                return await verify(tx, org, after, noted, **more)

        return state

    @pytest.fixture
    async def tampering(self, stage):
        """The database's administrator, whom no rule of the database stops."""
        connection = await asyncpg.connect(stage.database.admin_url)
        await connection.execute("set session_replication_role = 'replica'")
        yield connection.execute
        await connection.close()

    async def test_an_untouched_log_holds_from_its_first_record_to_its_last(self, org, state):
        found = await state(org)

        assert (found.start.n, found.end.n, found.broken, found.next_after) == (0, 6, None, None)

    async def test_an_org_without_records_has_nothing_that_is_broken(self, state):
        assert (await state(uuid4())).broken is None

    @pytest.mark.parametrize(
        ("change", "broken"),
        [
            ("update identity.audit set subject = 'other' where org_id = $1 and n = 3", BrokenLink(3, "changed")),
            ("update identity.audit set detail = '{\"a\":\"b\"}' where org_id = $1 and n = 1", BrokenLink(1, "changed")),
            ("update identity.audit set actor_id = null where org_id = $1 and n = 6", BrokenLink(6, "changed")),
            ("update identity.audit set at = at + interval '1 us' where org_id = $1 and n = 2", BrokenLink(2, "changed")),
            ("update identity.audit set hash = sha256('x') where org_id = $1 and n = 4", BrokenLink(4, "changed")),
            ("delete from identity.audit where org_id = $1 and n = 4", BrokenLink(4, "missing")),
            ("delete from identity.audit where org_id = $1 and n = 1", BrokenLink(1, "missing")),
            ("delete from identity.audit where org_id = $1 and n >= 5", BrokenLink(5, "cut")),
            ("delete from identity.audit where org_id = $1", BrokenLink(1, "cut")),
            ("delete from identity.audit_heads where org_id = $1", BrokenLink(1, "changed")),
            (FORGED, BrokenLink(9, "changed")),
            (SWAP, BrokenLink(2, "changed")),
        ],
    )  # fmt: skip
    async def test_the_first_broken_link_is_named(self, org, state, tampering, change, broken):
        await tampering(change, org)

        assert (await state(org)).broken == broken

    async def test_a_log_rewritten_with_its_end_is_found_by_who_noted_a_record_down(
        self, org, state, tampering
    ):
        noted = (await state(org)).end
        await tampering("delete from identity.audit where org_id = $1 and n >= 4", org)
        await tampering(
            "update identity.audit_heads h set n = 3, hash = a.hash from identity.audit a "
            "where h.org_id = $1 and a.org_id = $1 and a.n = 3",
            org,
        )

        assert (await state(org)).broken is None
        assert (await state(org, noted=noted)).broken == BrokenLink(6, "cut")

    async def test_a_noted_record_that_is_another_now_is_named(self, org, state):
        noted = AuditLink(4, "0" * 64)

        assert (await state(org, noted=noted)).broken == BrokenLink(4, "changed")

    async def test_a_long_log_is_verified_in_parts(self, org, state, monkeypatch):
        monkeypatch.setattr("polis.identity.audit.verify.PAGE", 2)

        first = await state(org, most=3)
        rest = await state(org, first.next_after, most=3)

        assert (first.end.n, first.next_after) == (4, 4)
        assert (rest.start, rest.end.n, rest.next_after) == (first.end, 6, None)

    async def test_what_is_old_goes_and_the_rest_still_holds(self, write, state, database, rows):
        org, now = uuid4(), utc_now()
        for days in (90, 80, 70, 5, 4):
            await write(org, at=now - timedelta(days=days), subject=str(days))
        noted = (await state(org)).end

        assert await cut(database, timedelta(days=60), now) == 3

        left = await rows("select subject, action from identity.audit where org_id = $1 order by n", org)
        assert [(r["subject"], r["action"]) for r in left] == [
            ("5", "thing.done"), ("4", "thing.done"), ("", "audit.cut"),
        ]  # fmt: skip
        assert (await state(org, noted=noted)).broken is None
        assert ((await state(org)).start.n, (await state(org)).end.n) == (3, 6)
        assert await cut(database, timedelta(days=60), now) == 0
        await write(org)
        assert (await state(org)).broken is None

    async def test_what_goes_while_it_is_verified_is_not_missing(
        self, running, anybody, write, database, monkeypatch
    ):
        now, behind = utc_now(), log.behind
        old, email = now - timedelta(days=90), f"{uuid4()}@example.org"
        with monkeypatch.context() as then:
            then.setattr(Context, "now", lambda _: old)
            org = (await anybody.call(SignUp(email, "long enough", "Ada"))).me.org_id
        for _ in range(4):
            await write(org, at=old)
        ada = anybody.using((await anybody.call(SignIn(email, "long enough"))).access_token)

        async def read_and_cut(*asked):
            found = await behind(*asked)
            await cut(database, timedelta(days=60), now)
            return found

        monkeypatch.setattr("polis.identity.audit.verify.PAGE", 2)
        monkeypatch.setattr(log, "behind", read_and_cut)

        assert (await ada.call(VerifyAudit())).broken is None

    async def test_a_chain_never_becomes_empty(self, write, state, database, rows):
        org, now = uuid4(), utc_now()
        for days in (900, 800):
            await write(org, at=now - timedelta(days=days))

        while await cut(database, timedelta(days=60), now):
            pass

        left = await rows("select n, action from identity.audit where org_id = $1 order by n", org)
        assert [(row["n"], row["action"]) for row in left] == [(3, "audit.cut"), (4, "audit.cut")]
        assert (await state(org)).broken is None

    async def test_the_service_cannot_cut_what_is_not_old(self, write, app_url):
        org = uuid4()
        await write(org)
        app = await asyncpg.connect(app_url)
        try:
            await app.execute("set role identity_system")
            await app.execute(
                "insert into identity.audit_cuts (org_id, n, hash, at) values ($1, 1, sha256('x'), now())",
                org,
            )
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="a month old"):
                await app.execute("delete from identity.audit where org_id = $1", org)
        finally:
            await app.close()
