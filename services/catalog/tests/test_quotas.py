"""Bytes and quotas: what is set aside for an upload that does not come about is given back, and nothing is uncounted."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from polis.bus.jetstream import store
from polis.bus.permissions import ADMIN
from polis.catalog.files import intents
from polis.proto.catalog import CreateUpload, QuotaExceeded
from polis.proto.identity import QuotaSet, ReserveUsage, Subject
from polis.proto.problems import DeadlineExceeded, Unavailable
from polis.service import envelope
from polis.service.ledger import Ledger
from polis.testing import eventually
from polis.testing.usage import PlayedUsage

UPLOAD = CreateUpload(name="f", size=10)


@pytest.fixture(scope="module")
async def played_usage(stage):
    return await PlayedUsage.on(await stage.bus(ADMIN), "storage")


@pytest.fixture
def usage(played_usage):
    played_usage.begin()
    return played_usage


@pytest.fixture
async def bound(ada, stage, sql):
    """A quota of ada's org, of which the catalog knows."""
    event = QuotaSet(ada.org_id, uuid4(), Subject("org"), "storage", "total", 7)
    subject, headers, payload = envelope.encode(event, uuid4(), datetime.now(UTC))
    await store(await stage.bus(ADMIN), subject, payload, headers, msg_id=headers["Nats-Msg-Id"], timeout_s=5)
    await eventually(lambda: sql("select id from catalog.quotas where id = $1", event.quota_id))


async def test_an_upload_that_the_catalog_itself_refuses_gives_back_what_was_set_aside(
    ada, ben, usage, bound, limits, refused
):
    opened = [(await ada.call(UPLOAD)).id for _ in range(limits.open_uploads)]

    assert isinstance(await refused(ada.call(UPLOAD)), QuotaExceeded)

    beyond = usage.reserved[-1].reservation_id
    await eventually(lambda: usage.told() == {beyond: 0})
    assert [r.reservation_id for r in usage.reserved[:-1]] == opened
    ttl_s = int(limits.upload_ttl_s) + 86_400
    assert usage.reserved[0] == ReserveUsage(
        ada.org_id, opened[0], ada.principal_id, "storage", 10, ttl_s=ttl_s
    )
    await ben.call(UPLOAD)
    assert len(usage.reserved) == limits.open_uploads + 1


async def test_nothing_is_announced_that_identity_does_not_count(ada, usage, bound, refused, sql):
    usage.left = 9
    assert await refused(ada.call(UPLOAD)) == usage.over
    usage.silent = True
    assert await refused(ada.call(UPLOAD)) == Unavailable(dependency="identity")

    assert await sql("select id from catalog.uploads where org_id = $1", ada.org_id) == []


async def settled(facts, org_id):
    return [entity for fact, entity in await facts(org_id) if fact == "upload_settled"]


async def test_what_was_set_aside_by_a_process_that_died_before_it_opened_the_upload_is_given_back(
    ada, usage, bound, monkeypatch, refused, facts, sql, database
):
    opened = await ada.call(UPLOAD)
    # As a process that is killed: identity has counted, and nobody hears or tells anything any more.
    usage.silent = True
    monkeypatch.setattr(Ledger, "settle", lambda *_: None)
    await refused(ada.call(UPLOAD))
    left = usage.reserved[-1].reservation_id

    await intents.sweep(database, datetime.now(UTC))
    assert await settled(facts, ada.org_id) == []
    await intents.sweep(database, datetime.now(UTC) + intents.LAPSES_AFTER)

    assert await settled(facts, ada.org_id) == [str(left)]
    assert [r["id"] for r in await sql("select id from catalog.uploads where org_id = $1", ada.org_id)] == [
        opened.id
    ]
    assert await intents.sweep(database, datetime.now(UTC) + intents.LAPSES_AFTER) == 0


async def test_an_upload_whose_bytes_were_given_back_meanwhile_is_not_opened(
    ada, usage, bound, refused, sql, database
):
    usage.silent = True
    opening = asyncio.create_task(refused(ada.call(UPLOAD)))
    await eventually(lambda: usage.unanswered)
    await intents.sweep(database, datetime.now(UTC) + intents.LAPSES_AFTER)

    usage.answer_late()

    assert isinstance(await opening, DeadlineExceeded)
    assert await sql("select id from catalog.uploads where org_id = $1", ada.org_id) == []
