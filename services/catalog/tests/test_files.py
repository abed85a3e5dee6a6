"""Files beyond storing them: ranges, contents that are shared, and who sees what."""

from __future__ import annotations

import asyncio
import random

import pytest

from polis.proto.catalog import (
    PART_BYTES,
    ArtifactNotFound,
    ChangeArtifact,
    CompleteUpload,
    CreateUpload,
    DeleteArtifact,
    DownloadArtifact,
    GetArtifact,
    ListArtifacts,
    PutPart,
    RangeOutside,
)
from polis.proto.problems import Forbidden

SIZE = 2 * PART_BYTES + 100
DATA = random.Random(7).randbytes(SIZE)


async def announce(client, data=DATA, **more):
    upload = await client.call(CreateUpload(name="file", size=len(data), **more))
    for at in range(0, len(data), PART_BYTES):
        await client.call(PutPart(upload.id, at // PART_BYTES, data[at : at + PART_BYTES]))
    return upload


async def store(client, data=DATA, **more):
    return await client.call(CompleteUpload((await announce(client, data, **more)).id))


async def read(client, artifact_id, **more):
    return b"".join([part async for part in client.stream(DownloadArtifact(artifact_id, **more))])


@pytest.fixture
def held(sql):
    """How many contents and rows of bytes an org holds."""

    async def held(client):
        [row] = await sql(
            """
            select (select count(*) from catalog.blobs b where b.org_id = $1),
                (select count(*) from catalog.chunks c where c.org_id = $1)
            """,
            client.org_id,
        )
        return tuple(row)

    return held


async def test_a_range_is_those_bytes_and_no_others(ada, refused):
    artifact = await store(ada)

    for offset, length in (
        (0, None), (0, 1), (SIZE - 1, None), (PART_BYTES - 1, 2), (PART_BYTES, PART_BYTES), (5, SIZE), (10, 2 * PART_BYTES),
    ):  # fmt: skip
        stop = None if length is None else offset + length
        assert await read(ada, artifact.id, offset=offset, length=length) == DATA[offset:stop]
    outside = RangeOutside(size=SIZE)
    assert await refused(read(ada, artifact.id, offset=SIZE)) == outside
    assert await refused(read(ada, artifact.id, offset=SIZE + 1, length=1)) == outside
    empty = await store(ada, b"")
    assert await read(ada, empty.id) == b""


async def test_the_same_content_again_takes_no_room_until_the_last_of_its_files_is_gone(ada, ben, held):
    first, second = await store(ada), await store(ada)
    await store(ben)

    assert await held(ada) == (1, 3)
    assert await held(ben) == (1, 3)
    await ada.call(DeleteArtifact(first.id))
    assert await read(ada, second.id) == DATA
    await ada.call(DeleteArtifact(second.id))
    assert await held(ada) == (0, 0)


async def test_storing_and_deleting_one_content_at_once_loses_no_bytes(ada, held):
    data = b"shared"
    for _ in range(4):
        stored = [await store(ada, data) for _ in range(2)]
        coming = [await announce(ada, data) for _ in range(3)]
        await asyncio.gather(
            *(ada.call(DeleteArtifact(artifact.id)) for artifact in stored),
            *(ada.call(CompleteUpload(upload.id)) for upload in coming),
        )
        for upload in coming:
            assert await read(ada, upload.id) == data
        assert await held(ada) == (1, 1)
        await asyncio.gather(*(ada.call(DeleteArtifact(upload.id)) for upload in coming))
        assert await held(ada) == (0, 0)


async def test_a_private_file_is_seen_by_its_creator_and_the_orgs_managers(ada, refused):
    owner, colleague, admin = ada.member("member"), ada.member("member"), ada.member("admin")
    artifact = await store(owner, b"mine", visibility="private")
    missing = ArtifactNotFound(artifact_id=artifact.id)

    for request in (
        GetArtifact(artifact.id), DeleteArtifact(artifact.id), ChangeArtifact(artifact.id, "org"),
    ):  # fmt: skip
        assert await refused(colleague.call(request)) == missing
    assert await refused(read(colleague, artifact.id)) == missing
    assert (await colleague.call(ListArtifacts())).items == ()
    for client in (owner, admin):
        assert (await client.call(ListArtifacts())).items == (artifact,)
        assert await read(client, artifact.id) == b"mine"


async def test_a_private_file_that_was_sent_to_somebody_is_read_and_not_listed_or_changed(ada, sent, refused):
    owner, colleague = ada.member("member"), ada.member("member")
    artifact = await store(owner, b"mine", visibility="private")
    sent.add((artifact.id, owner.principal_id, colleague.principal_id))

    assert await colleague.call(GetArtifact(artifact.id)) == artifact
    assert await read(colleague, artifact.id) == b"mine"
    assert (await colleague.call(ListArtifacts())).items == ()
    missing = ArtifactNotFound(artifact_id=artifact.id)
    assert await refused(colleague.call(DeleteArtifact(artifact.id))) == missing
    sent.clear()
    assert await refused(read(colleague, artifact.id)) == missing


async def test_a_public_file_is_read_by_every_org_and_changed_by_its_own(ada, ben, refused):
    artifact = await store(ada)
    assert isinstance(
        await refused(ada.member("member").call(ChangeArtifact(artifact.id, "private"))), Forbidden
    )
    public = await ada.call(ChangeArtifact(artifact.id, "public"))

    assert await ben.call(GetArtifact(artifact.id)) == public
    assert (
        await read(ben, artifact.id, offset=PART_BYTES + 1, length=3) == DATA[PART_BYTES + 1 : PART_BYTES + 4]
    )
    assert (await ben.call(ListArtifacts())).items == ()
    missing = ArtifactNotFound(artifact_id=artifact.id)
    assert await refused(ben.call(DeleteArtifact(artifact.id))) == missing
    assert await refused(ben.call(ChangeArtifact(artifact.id, "org"))) == missing
    await ada.call(ChangeArtifact(artifact.id, "org"))
    assert await refused(ben.call(GetArtifact(artifact.id))) == missing


async def test_a_member_makes_no_file_public(ada, refused):
    announced = ada.member("member").call(CreateUpload(name="file", size=1, visibility="public"))

    assert isinstance(await refused(announced), Forbidden)
