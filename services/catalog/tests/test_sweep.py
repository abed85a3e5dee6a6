"""Uploads that nobody completes: refused once they have expired, and removed with what they hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from polis.catalog.files import uploads
from polis.catalog.files.blobs import Rows
from polis.catalog.service import service
from polis.proto.catalog import CompleteUpload, CreateUpload, PutPart, UploadNotFound
from polis.service import serving
from polis.testing import eventually


@pytest.fixture(scope="module")
async def running(stage):
    return await stage.start("catalog", sweep_every_s=3600.0)


@pytest.fixture
def expire(sql):
    async def expire(announced):
        hour_ago = datetime.now(UTC) - timedelta(hours=1)
        ids = [upload.id for upload in announced]
        await sql("update catalog.uploads set expires_at = $2 where id = any($1)", ids, hour_ago)

    return expire


@pytest.fixture
def held(sql):
    """What an org holds: bytes and open uploads that count, rows of parts and of chunks that exist."""

    async def held(client):
        rows = await sql(
            """
            select stored_bytes, open_uploads, (select count(*) from catalog.parts p where p.org_id = s.org_id),
                (select count(*) from catalog.chunks c where c.org_id = s.org_id)
            from catalog.storage s where org_id = $1
            """,
            client.org_id,
        )
        return tuple(rows[0])

    return held


async def announce(client):
    upload = await client.call(CreateUpload(name="file", size=3))
    await client.call(PutPart(upload.id, 0, b"abc"))
    return upload


async def test_an_expired_upload_is_not_there(ada, refused, expire):
    upload = await announce(ada)
    await expire([upload])

    for request in (PutPart(upload.id, 0, b"abc"), CompleteUpload(upload.id)):
        assert await refused(ada.call(request)) == UploadNotFound(upload_id=upload.id)


async def test_expired_uploads_go_with_their_parts_a_few_at_a_time(ada, ben, expire, held, database):
    await uploads.sweep(database, Rows(), datetime.now(UTC))
    await ada.call(CompleteUpload((await announce(ada)).id))
    await announce(ada)
    await expire([await announce(client) for client in (ada, ben) for _ in range(uploads.SWEEP_BATCH)])

    swept = [await uploads.sweep(database, Rows(), datetime.now(UTC)) for _ in range(3)]

    assert swept == [uploads.SWEEP_BATCH, uploads.SWEEP_BATCH, 0]
    assert await held(ada) == (6, 1, 1, 2)
    assert await held(ben) == (0, 0, 0, 0)


async def test_the_service_sweeps_by_itself(ada, expire, held, stage):
    await expire([await announce(ada)])
    assert await held(ada) == (3, 1, 1, 1)

    async def gone():
        return await held(ada) == (0, 0, 0, 0)

    async with serving(service, stage.settings("catalog", sweep_every_s=0.1)):
        await eventually(gone)
