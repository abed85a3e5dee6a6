"""What has expired goes, and what has not stays."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from polis.db import Database
from polis.identity.sweep import UNUSED, sweep_once
from polis.identity.tokens.keys import utc_now
from polis.proto.identity import (
    Conditions,
    CreateAgent,
    CreateKey,
    ForgotPassword,
    GiveGrant,
    Holder,
    InviteMember,
    Refresh,
    ReserveUsage,
    RotateCredential,
    SetQuota,
    SettleUsage,
    SignOut,
    Subject,
)


@pytest.fixture
async def database(app_url):
    database = await Database.open(app_url, service="identity", size=1)
    yield database
    await database.close()


async def test_a_live_session_survives_the_sweep_with_its_used_tokens(ada, anybody, database, rows):
    renewed = await anybody.call(Refresh(ada.refresh_token))

    await sweep_once(database, utc_now())

    assert len(await tokens(rows, ada)) == 2
    assert await anybody.call(Refresh(renewed.refresh_token))


async def test_expired_tokens_sessions_revocations_and_invitations_go(ada, ben, anybody, database, rows):
    await ada.call(InviteMember("gone@example.org"))
    await ada.call(SignOut())
    await anybody.call(Refresh(ben.refresh_token))
    await rows("update identity.invitations set expires_at = now() where org_id = $1", ada.org_id)
    await rows(
        "update identity.refresh_tokens t set expires_at = now() from identity.sessions s "
        "where s.id = t.session_id and s.account_id = $1",
        ben.id,
    )
    await rows("update identity.revocations set until = now() where sid = $1", ada.session_id)

    await sweep_once(database, utc_now())

    assert await rows("select from identity.invitations where org_id = $1", ada.org_id) == []
    assert await rows("select from identity.revocations where sid = $1", ada.session_id) == []
    assert await rows("select from identity.sessions where account_id = any($1)", [ada.id, ben.id]) == []
    assert await tokens(rows, ben) == []


async def test_sessions_that_nobody_renewed_are_found_by_their_tokens_and_no_others_are_looked_at(database):
    async with database.across_orgs() as tx:
        plan = await tx.rows(str, f"explain {UNUSED}", utc_now(), 1_000)

    assert any("refresh_tokens_expiry" in line for line in plan)
    assert any("sessions_pkey" in line for line in plan)


async def test_what_waited_for_a_code_a_link_or_a_mail_goes_when_it_has_expired(ada, anybody, database, rows):
    expiring = {
        "tickets": "(hash, account_id, password_of, expires_at) values (sha256($2), $1, now(), now() - interval '1 s')",
        "password_resets": "(token_hash, account_id, expires_at) values (sha256($2), $1, now() - interval '1 s')",
        "mails": "(id, kind, email, created_at, expires_at, due_at) values "
        "($1, 'password_reset', encode($2, 'hex'), now(), now() - interval '1 s', now())",
        "guesses": "(bucket, full_at) select sha256($2), now() - interval '1 s' where $1::uuid is not null",
    }
    for table, values in expiring.items():
        await rows(f"insert into identity.{table} {values}", ada.id, ada.id.bytes)
    await anybody.call(ForgotPassword(ada.email))

    await sweep_once(database, utc_now())

    for table, columns in {"tickets": "hash", "password_resets": "token_hash", "guesses": "bucket"}.items():
        assert await rows(f"select from identity.{table} where {columns} = sha256($1)", ada.id.bytes) == []
    assert await rows("select from identity.mails where id = $1", ada.id) == []
    assert await rows("select from identity.mails where email = $1", ada.email)


async def test_expired_secrets_keys_and_grants_go_and_what_still_holds_stays(ada, database, rows):
    agent = (await ada.call(CreateAgent("sarah", "Sarah"))).agent
    await ada.call(RotateCredential("sarah"))
    keys = [(await ada.call(CreateKey(name, ("catalog:read",)))).key.id for name in ("old", "new")]
    later = Conditions(datetime.now(UTC) + timedelta(hours=1))
    everyone = Holder("everyone")
    grants = [(await ada.call(GiveGrant(everyone, "catalog:read", "graph/x", later))).id for _ in range(2)]
    await rows("update identity.credentials set expires_at = now() where expires_at is not null")
    await rows("update identity.api_keys set expires_at = now() where id = $1", keys[0])
    await rows("update identity.grants set expires_at = now() - interval '31 days' where id = $1", grants[0])
    await rows("update identity.grants set expires_at = now() where id = $1", grants[1])

    await sweep_once(database, utc_now())

    assert len(await rows("select from identity.credentials where agent_id = $1", agent.id)) == 1
    left = await rows("select id from identity.api_keys where org_id = $1", ada.org_id)
    assert [row["id"] for row in left] == [keys[1]]
    left = await rows("select id from identity.grants where org_id = $1", ada.org_id)
    assert [row["id"] for row in left] == [grants[1]], "a refusal is explained by what has expired"


async def test_settled_reservations_and_old_periods_go(ada, database, rows, as_service):
    quotas = [await ada.call(SetQuota(Subject("org"), "runs", period, 9)) for period in ("day", "total")]
    runtime, ids = await as_service("runtime"), [uuid4() for _ in range(2)]
    for reservation_id in ids:
        await runtime.call(ReserveUsage(ada.org_id, reservation_id, ada.id, "runs", 1))
        await runtime.call(SettleUsage(ada.org_id, reservation_id, 1))
    await rows(
        "update identity.reservations set settled_at = now() - interval '2 days' where id = $1", ids[0]
    )
    await rows(
        "update identity.usages set starts_at = starts_at - interval '401 days' where quota_id = $1",
        quotas[0].id,
    )

    await sweep_once(database, utc_now())

    left = await rows("select id from identity.reservations where org_id = $1", ada.org_id)
    assert [row["id"] for row in left] == [ids[1]]
    left = await rows("select quota_id from identity.usages where org_id = $1", ada.org_id)
    assert [row["quota_id"] for row in left] == [quotas[1].id]


async def tokens(rows, person):
    return await rows(
        "select t.hash from identity.refresh_tokens t join identity.sessions s on s.id = t.session_id "
        "where s.account_id = $1",
        person.id,
    )
