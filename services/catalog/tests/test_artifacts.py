"""Files: announced, put part by part, checked as a whole, read as a stream, deleted, swept when they expire."""

from __future__ import annotations

import asyncio
import hashlib
import random
import re
from pathlib import Path
from uuid import uuid4

from polis.proto.catalog import (
    PART_BYTES,
    Artifact,
    ArtifactNotFound,
    CancelUpload,
    CompleteUpload,
    CreateUpload,
    DeleteArtifact,
    DownloadArtifact,
    GetArtifact,
    ListArtifacts,
    PutPart,
    QuotaExceeded,
    UploadIncomplete,
    UploadNotFound,
)
from polis.proto.problems import Invalid, Overloaded, StaleCursor

MIB = 1024 * 1024


def parts_of(data: bytes) -> list[bytes]:
    return [data[at : at + PART_BYTES] for at in range(0, len(data), PART_BYTES)]


async def announce(client, size, **more):
    return await client.call(CreateUpload(name="mail.mbox", size=size, **more))


async def store(client, data: bytes, **more) -> Artifact:
    upload = await announce(client, len(data), **more)
    for number, part in enumerate(parts_of(data)):
        await client.call(PutPart(upload.id, number, part))
    return await client.call(CompleteUpload(upload.id))


async def read(client, artifact_id) -> bytes:
    return b"".join([part async for part in client.stream(DownloadArtifact(artifact_id))])


async def test_a_file_comes_back_as_it_was_stored(ada, facts):
    data = random.Random(1).randbytes(3 * PART_BYTES + 17)

    artifact = await store(ada, data, media_type="application/mbox", sha256=hashlib.sha256(data).hexdigest())

    assert (artifact.name, artifact.media_type, artifact.size) == ("mail.mbox", "application/mbox", len(data))
    assert (artifact.org_id, artifact.created_by) == (ada.org_id, ada.principal_id)
    assert artifact.sha256 == hashlib.sha256(data).hexdigest()
    assert await ada.call(GetArtifact(artifact.id)) == artifact
    assert await read(ada, artifact.id) == data
    assert await facts(ada.org_id) == [("artifact_stored", str(artifact.id))]


async def test_a_new_file_shows_its_name_and_one_of_before_is_told_as_it_is(ada, refused, sql):
    for name in ("a\u202efdp.exe", "\u200b", "a\x85b", "a\u2029b"):
        problem = await refused(ada.call(CreateUpload(name=name, size=1)))
        assert [fault.pointer for fault in problem.faults] == ["/name"]
    artifact = await store(ada, b"old")
    await sql("update catalog.artifacts set name = $2 where id = $1", artifact.id, "a\u202efdp.exe")

    assert (await ada.call(GetArtifact(artifact.id))).name == "a\u202efdp.exe"
    assert [each.name for each in (await ada.call(ListArtifacts(limit=1))).items] == ["a\u202efdp.exe"]


async def test_an_empty_file_and_one_of_whole_parts_are_files_too(ada):
    for data in (b"", bytes(2 * PART_BYTES)):
        artifact = await store(ada, data)

        assert artifact.sha256 == hashlib.sha256(data).hexdigest()
        assert await read(ada, artifact.id) == data


async def test_parts_may_come_in_any_order_and_again(ada):
    data = random.Random(2).randbytes(5 * PART_BYTES + 1)
    upload = await announce(ada, len(data))
    puts = [(n, part) for n, part in enumerate(parts_of(data))]
    await ada.call(PutPart(upload.id, 0, bytes(PART_BYTES)))

    await asyncio.gather(*(ada.call(PutPart(upload.id, n, part)) for n, part in [*reversed(puts), *puts]))

    artifact = await ada.call(CompleteUpload(upload.id, sha256=hashlib.sha256(data).hexdigest()))
    assert await read(ada, artifact.id) == data


async def test_missing_parts_are_named_and_may_still_come(ada, refused):
    data = bytes(3 * PART_BYTES)
    upload = await announce(ada, len(data))
    await ada.call(PutPart(upload.id, 1, data[:PART_BYTES]))

    problem = await refused(ada.call(CompleteUpload(upload.id)))

    assert problem == UploadIncomplete(reason="parts are missing: 0, 2")
    for number in (0, 2):
        await ada.call(PutPart(upload.id, number, data[:PART_BYTES]))
    assert (await ada.call(CompleteUpload(upload.id))).size == len(data)


async def test_bytes_that_are_not_the_announced_ones_make_no_artifact(ada, refused, facts):
    announced, asked = await announce(ada, 3, sha256="0" * 64), await announce(ada, 3)
    for upload in (announced, asked):
        await ada.call(PutPart(upload.id, 0, b"abc"))

    for request in (CompleteUpload(announced.id), CompleteUpload(asked.id, sha256="1" * 64)):
        assert isinstance(await refused(ada.call(request)), UploadIncomplete)

    assert (await ada.call(ListArtifacts())).items == ()
    assert await facts(ada.org_id) == []


async def test_a_part_of_the_wrong_size_or_number_is_refused(ada, refused):
    upload = await announce(ada, PART_BYTES + 5)

    for number, size in ((0, PART_BYTES - 1), (0, 0), (1, 4), (1, 6), (2, 1)):
        problem = await refused(ada.call(PutPart(upload.id, number, bytes(size))))
        assert isinstance(problem, UploadIncomplete), (number, size)
    assert isinstance(await refused(ada.call(PutPart(upload.id, 10_001, b""))), Invalid)


async def test_completing_again_gives_the_artifact_again(ada, refused, facts):
    artifact = await store(ada, b"abc")

    assert await ada.call(CompleteUpload(artifact.id)) == artifact
    assert isinstance(await refused(ada.call(CompleteUpload(artifact.id, sha256="0" * 64))), UploadIncomplete)
    assert await refused(ada.call(PutPart(artifact.id, 0, b"xyz"))) == UploadNotFound(upload_id=artifact.id)
    assert await read(ada, artifact.id) == b"abc"
    assert len(await facts(ada.org_id)) == 1


async def test_concurrent_completions_make_one_artifact(ada, facts):
    upload = await announce(ada, 3)
    await ada.call(PutPart(upload.id, 0, b"abc"))

    made = await asyncio.gather(*(ada.call(CompleteUpload(upload.id)) for _ in range(6)))

    assert len(set(made)) == 1
    assert len(await facts(ada.org_id)) == 1


async def test_a_cancelled_upload_is_gone_and_makes_room(ada, refused, sql):
    upload = await announce(ada, 3)
    await ada.call(PutPart(upload.id, 0, b"abc"))

    await ada.call(CancelUpload(upload.id))

    for request in (CancelUpload(upload.id), PutPart(upload.id, 0, b"abc"), CompleteUpload(upload.id)):
        assert await refused(ada.call(request)) == UploadNotFound(upload_id=upload.id)
    assert [tuple(row) for row in await used(sql, ada)] == [(0, 0)]
    assert await sql("select from catalog.chunks where org_id = $1", ada.org_id) == []


async def test_a_stored_file_is_no_upload_that_could_be_cancelled(ada, refused):
    artifact = await store(ada, b"abc")

    assert await refused(ada.call(CancelUpload(artifact.id))) == UploadNotFound(upload_id=artifact.id)
    assert await read(ada, artifact.id) == b"abc"


async def test_an_upload_belongs_to_who_announced_it(ada, ben, refused):
    upload = await announce(ada, 3)

    for other in (ben, ada.member("admin")):
        for request in (PutPart(upload.id, 0, b"abc"), CompleteUpload(upload.id), CancelUpload(upload.id)):
            assert await refused(other.call(request)) == UploadNotFound(upload_id=upload.id)


async def test_a_file_of_another_org_is_not_there(ada, ben, refused):
    artifact = await store(ada, b"abc")
    missing = ArtifactNotFound(artifact_id=artifact.id)

    assert await refused(ben.call(GetArtifact(artifact.id))) == missing
    assert await refused(ben.call(DeleteArtifact(artifact.id))) == missing
    assert await refused(read(ben, artifact.id)) == missing
    assert (await ben.call(ListArtifacts())).items == ()
    assert await read(ada.member("viewer"), artifact.id) == b"abc"


async def test_a_deleted_file_is_gone_with_its_bytes(ada, refused, facts, sql):
    artifact = await store(ada, bytes(PART_BYTES + 1))

    await ada.call(DeleteArtifact(artifact.id))

    missing = ArtifactNotFound(artifact_id=artifact.id)
    assert await refused(ada.call(GetArtifact(artifact.id))) == missing
    assert await refused(read(ada, artifact.id)) == missing
    assert await refused(ada.call(DeleteArtifact(artifact.id))) == missing
    assert await sql("select from catalog.chunks where org_id = $1", ada.org_id) == []
    assert (await facts(ada.org_id))[-1] == ("artifact_deleted", str(artifact.id))


async def test_a_file_deleted_while_it_is_read_ends_the_stream_with_a_problem(ada, refused):
    artifact = await store(ada, bytes(40 * PART_BYTES))
    stream = ada.stream(DownloadArtifact(artifact.id))
    await anext(stream)

    await ada.call(DeleteArtifact(artifact.id))

    async def rest():
        return [part async for part in stream]

    assert await refused(rest()) == ArtifactNotFound(artifact_id=artifact.id)


async def test_slow_readers_of_one_org_leave_room_for_others(ada, ben, refused, limits):
    mine, theirs = await store(ada, bytes(20 * PART_BYTES)), await store(ben, b"abc")
    slow = [ada.stream(DownloadArtifact(mine.id)) for _ in range(limits.downloads // 2)]
    for stream in slow:
        await anext(stream)

    assert await refused(read(ada, mine.id)) == Overloaded(retry_after_s=1.0)
    assert await read(ben, theirs.id) == b"abc"
    for stream in slow:
        assert sum([len(part) async for part in stream]) == 19 * PART_BYTES
    assert len(await read(ada, mine.id)) == mine.size


async def test_files_are_listed_newest_first_on_pages(ada, ben, refused):
    made = [await store(ada, b"%d" % n) for n in range(5)]

    first = await ada.call(ListArtifacts(limit=3))
    second = await ada.call(ListArtifacts(limit=3, after=first.next_cursor))

    assert [*first.items, *second.items] == made[::-1]
    assert second.next_cursor is None
    assert await refused(ben.call(ListArtifacts(after=first.next_cursor))) == StaleCursor()


async def test_an_org_holds_so_many_bytes_and_open_uploads_and_no_more(ada, ben, refused, limits):
    size = limits.org_bytes // 4
    results = await asyncio.gather(*(announce(ada, size) for _ in range(8)), return_exceptions=True)

    open_uploads = [upload for upload in results if not isinstance(upload, Exception)]
    assert len(open_uploads) == 4
    used = QuotaExceeded(quota="stored_bytes", limit=limits.org_bytes, used=4 * size)
    assert await refused(announce(ada, size)) == used
    for _ in range(limits.open_uploads - 4):
        await announce(ada, 0)
    count = limits.open_uploads
    assert await refused(announce(ada, 0)) == QuotaExceeded(quota="open_uploads", limit=count, used=count)
    await announce(ben, size)


async def test_a_deleted_file_makes_room(ada, sql):
    artifact = await store(ada, b"abc")
    assert [tuple(row) for row in await used(sql, ada)] == [(3, 0)]

    await ada.call(DeleteArtifact(artifact.id))

    assert [tuple(row) for row in await used(sql, ada)] == [(0, 0)]


async def used(sql, client):
    return await sql(
        "select stored_bytes, open_uploads from catalog.storage where org_id = $1", client.org_id
    )


async def test_an_upload_that_nobody_knows_is_not_found(ada, refused):
    nobody = uuid4()

    assert await refused(ada.call(PutPart(nobody, 0, b"abc"))) == UploadNotFound(upload_id=nobody)
    assert await refused(ada.call(CompleteUpload(nobody))) == UploadNotFound(upload_id=nobody)


async def test_a_file_of_100_mb_goes_up_and_down_in_bounded_memory(ada):
    size, block = 100 * MIB, random.Random(3).randbytes(PART_BYTES)
    upload = await announce(ada, size)
    numbers = list(range(size // PART_BYTES))
    random.Random(4).shuffle(numbers)
    expected = hashlib.sha256()
    for _ in numbers:
        expected.update(block)
    _reset_peak()
    before = _peak()

    senders = asyncio.Semaphore(4)

    async def put(number: int) -> None:
        async with senders:
            await ada.call(PutPart(upload.id, number, block))

    await asyncio.gather(*(put(number) for number in numbers))
    artifact = await ada.call(CompleteUpload(upload.id))
    received = hashlib.sha256()
    async for part in ada.stream(DownloadArtifact(artifact.id)):
        received.update(part)

    assert artifact.sha256 == received.hexdigest() == expected.hexdigest()
    assert _peak() - before < 48 * MIB
    await ada.call(DeleteArtifact(artifact.id))


def _reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    """The most memory that this process, client and catalog in one, has had since `_reset_peak`, in bytes."""
    return 1024 * int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1])
