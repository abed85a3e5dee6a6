"""Idempotency keys: one effect and one answer, however often and at the same time it is asked for."""

from __future__ import annotations

import asyncio
import hashlib
from uuid import uuid4, uuid5

import asyncpg
import pytest

from polis.db import retention
from polis.db.connections import Lease
from polis.proto import Refused
from polis.proto.problems import InFlight, KeyReused

SECRET = b'{"api_key": "canary-secret"}'


@pytest.fixture
def principal():
    return uuid4()


@pytest.fixture
def attempt(database, org, principal):
    """One attempt at an operation that writes a note: its answer, or the refusal of it."""

    async def attempt(key="key-1", body=b"body", *, operation="create", who=None, answer=SECRET):
        try:
            async with database.transaction([org]) as tx:
                stored = await tx.claim(operation, who or principal, key, hashlib.sha256(body).digest())
                if stored is not None:
                    return stored
                await tx.execute(
                    "insert into notebook.notes (org_id, id, title) values ($1, $2, $2::uuid::text)",
                    org,
                    uuid4(),
                )
                await asyncio.sleep(0)
                await tx.store_answer(answer)
                return answer
        except Refused as refused:
            return refused.problem

    return attempt


@pytest.fixture
async def effects(database, org):
    return lambda: database.tenant(org).value(
        "select count(*) from notebook.notes n where n.org_id = $1", org
    )


async def test_fifty_at_once_have_one_effect_and_one_answer(attempt, effects):
    answers = await asyncio.gather(*(attempt() for _ in range(50)))

    assert await effects() == 1
    assert SECRET in answers
    assert all(a == SECRET or isinstance(a, InFlight) for a in answers)
    assert await attempt() == SECRET


async def test_another_body_under_the_same_key_is_refused(attempt, effects):
    await attempt(body=b"one")

    assert await attempt(body=b"two") == KeyReused()
    assert await effects() == 1


async def test_keys_are_a_principals_and_an_operations_own(attempt, effects):
    await attempt()
    await attempt(operation="delete")
    await attempt(who=uuid4())
    await attempt("key-2")

    assert await effects() == 4


async def test_what_failed_may_be_tried_again(attempt, database, org, principal, effects):
    async def fail():
        async with database.transaction([org]) as tx:
            assert await tx.claim("create", principal, "key-1", hashlib.sha256(b"body").digest()) is None
            raise LookupError

    with pytest.raises(LookupError):
        await fail()

    assert await attempt() == SECRET
    assert await effects() == 1


async def test_a_repeat_that_comes_as_the_first_commits_has_its_answer(database, org, principal, monkeypatch):
    """What commits between the repeat's try of the lock and its look is seen by that."""
    first = database.transaction([org])
    tx = await first.__aenter__()
    assert await tx.claim("create", principal, "key", b"f") is None
    await tx.store_answer(b"first")
    fetch = Lease.fetch

    async def fetch_and_commit(lease, sql, args=()):
        found = await fetch(lease, sql, args)
        if "advisory" in sql:
            assert not found[0][0]
            await first.__aexit__(None, None, None)
        return found

    monkeypatch.setattr(Lease, "fetch", fetch_and_commit)
    async with database.transaction([org]) as repeat:
        assert await repeat.claim("create", principal, "key", b"f") == b"first"


async def test_repeats_whose_effect_is_there_once_by_its_id_are_never_refused_for_that(
    database, org, principal
):
    """Whoever has the lock sees what was done under it before, however near that was."""

    async def attempt(key):
        note = uuid5(org, key)
        try:
            async with database.transaction([org]) as tx:
                if (stored := await tx.claim("create", principal, key, b"f")) is not None:
                    return stored
                await tx.execute(
                    "insert into notebook.notes (org_id, id, title) values ($1, $2, $3)", org, note, key
                )
                await tx.store_answer(SECRET)
                return SECRET
        except Refused as refused:
            return refused.problem

    for number in range(20):
        answers = await asyncio.gather(*(attempt(f"key {number}") for _ in range(8)))
        assert all(answer in (SECRET, InFlight()) for answer in answers)


async def test_neither_key_nor_answer_lies_in_the_database(attempt, admin, org):
    key = "a-key-of-the-client"
    await attempt(key)
    rows = await admin.fetch("select * from notebook.idempotency where org_id = $1", org)

    stored = b"".join(value for row in rows for value in row.values() if isinstance(value, bytes))

    assert len(rows) == 1
    assert b"canary" not in stored
    assert key.encode() not in stored
    assert hashlib.sha256(key.encode()).digest() not in stored


async def test_a_stored_answer_cannot_be_moved_under_another_key(attempt, admin, org):
    from cryptography.exceptions import InvalidTag

    await attempt("mine")
    await attempt("theirs", answer=b'{"theirs": true}')
    await admin.execute(
        "update notebook.idempotency set answer = (select answer from notebook.idempotency where org_id = $1 order by created_at limit 1)"
        " where org_id = $1",
        org,
    )

    with pytest.raises(InvalidTag):
        await attempt("theirs")


async def test_after_a_day_a_key_is_forgotten(attempt, database, admin, org, effects):
    await attempt()
    await admin.execute(
        "update notebook.idempotency set created_at = now() - interval '25 hours' where org_id = $1", org
    )

    assert (await retention.sweep(database))["idempotency"] >= 1

    await attempt()
    assert await effects() == 2


async def test_an_answer_without_a_claim_is_not_stored(database, org):
    async with database.transaction([org]) as tx:
        await tx.store_answer(b"nothing was claimed")

    assert await database.tenant(org).value("select count(*) from notebook.idempotency i") == 0


async def test_the_process_cannot_change_what_was_answered(database, org, attempt):
    await attempt()

    async def change():
        async with database.transaction([org]) as tx:
            await tx.execute("update notebook.idempotency set fingerprint = ''")

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await change()
