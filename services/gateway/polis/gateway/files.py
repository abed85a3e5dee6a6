"""Files through the gateway: streamed in both directions in bounded memory, checked by the catalog."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, cast
from urllib.parse import quote

import msgspec

from polis.gateway.decode import to_request
from polis.gateway.direct import blank_problem
from polis.gateway.finish import STORED, VARY, holds
from polis.gateway.http import PROBLEM, Disconnect
from polis.gateway.ranges import Part, Unsatisfiable, part_of
from polis.proto import Operation, Refused
from polis.proto.catalog import (
    PART_BYTES,
    Artifact,
    CancelUpload,
    CompleteUpload,
    CreateUpload,
    DownloadArtifact,
    GetArtifact,
    PutPart,
    RangeOutside,
    Upload,
)
from polis.proto.gateway import LengthRequired, UploadArtifact
from polis.proto.problems import TooLarge
from polis.telemetry import log

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from polis.gateway.http import AsgiExchange
    from polis.service import Actor, Caller

_PARTS_IN_FLIGHT = 4


class Files:
    """Answers uploads in one request, and downloads."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def upload(
        self, exchange: AsgiExchange, operation: Operation, path: dict[str, str], actor: Actor
    ) -> None:
        request = to_request(operation, path, exchange.query, b"", "")
        assert isinstance(request, UploadArtifact)  # noqa: S101 - to_request() decodes what the operation declares
        length = exchange.header(b"content-length")
        if not length.isdecimal():
            raise Refused(LengthRequired())
        if int(length) > operation.max_body:
            raise Refused(TooLarge(max_bytes=operation.max_body))
        chunks = exchange.chunks(operation.max_body)
        create = CreateUpload(
            name=request.name, size=int(length), media_type=request.media_type, sha256=request.sha256
        )
        upload = await self._caller.call(create, token=actor.token, org=str(actor.org_id))
        complete = CompleteUpload(upload_id=upload.id, sha256=request.sha256)
        try:
            await self._put_parts(upload, chunks, actor)
            artifact = await self._caller.call(
                complete, token=actor.token, org=str(actor.org_id), timeout_s=60.0
            )
        except BaseException:
            await self._give_up(upload, actor)
            raise
        await exchange.answer(200, msgspec.json.encode(artifact))

    async def _give_up(self, upload: Upload, actor: Actor) -> None:
        """Free what an upload holds of the org's quota: nobody else knows its id."""
        try:
            cancel = CancelUpload(upload_id=upload.id)
            await self._caller.call(cancel, token=actor.token, org=str(actor.org_id))
        except Refused as refusal:  # it expires by itself
            log.info("upload.left_open", upload_id=str(upload.id), problem=refusal.problem.type)

    async def _put_parts(self, upload: Upload, chunks: AsyncIterator[bytes], actor: Actor) -> None:
        """A few parts at a time; the client is held back while they are on their way."""
        slots = asyncio.Semaphore(_PARTS_IN_FLIGHT)

        async def put(number: int, content: bytes) -> None:
            try:
                part = PutPart(upload_id=upload.id, number=number, content=content)
                await self._caller.call(part, token=actor.token, org=str(actor.org_id))
            finally:
                slots.release()

        try:
            async with asyncio.TaskGroup() as group:
                number = 0
                async for content in _parts(chunks):
                    await slots.acquire()
                    group.create_task(put(number, content))
                    number += 1
        except* (Refused, Disconnect) as reasons:
            raise _first(reasons) from None

    async def download(
        self, exchange: AsgiExchange, operation: Operation, path: dict[str, str], actor: Actor
    ) -> None:
        request = to_request(operation, path, exchange.query, b"", "")
        assert isinstance(request, DownloadArtifact)  # noqa: S101 - to_request() decodes what the operation declares
        org = str(actor.org_id)
        artifact = await self._caller.call(
            GetArtifact(artifact_id=request.artifact_id), token=actor.token, org=org
        )
        part = await self._begin(exchange, artifact, _wanted(request, artifact.size))
        if part is None:
            return
        if exchange.method != "HEAD" and part.start < part.end:
            asked = DownloadArtifact(artifact.id, part.start, part.end - part.start)
            contents = self._caller.stream(asked, token=actor.token, org=org)
            async with aclosing(cast("AsyncGenerator[bytes, None]", contents)) as wanted:
                async for content in wanted:
                    await exchange.part(content)
        await exchange.part(b"", more=False)

    async def _begin(self, exchange: AsgiExchange, artifact: Artifact, whole: Part) -> Part | None:
        """Begin the answer with what is asked for of `whole`; None when that is nothing, and all is said."""
        size = whole.end - whole.start
        tag = f'"{artifact.sha256}"'
        exchange.cache = STORED
        exchange.extra += ((b"etag", tag.encode()), VARY, (b"accept-ranges", b"bytes"))
        if holds(exchange.header(b"if-none-match"), artifact.sha256):
            await exchange.answer(304, b"", None)
            return None
        part = None
        if exchange.method == "GET" and exchange.header(b"if-range") in ("", tag):
            try:
                part = part_of(exchange.header(b"range"), size)
            except Unsatisfiable:
                exchange.extra.append((b"content-range", b"bytes */%d" % size))
                await exchange.answer(
                    416, blank_problem(416, "no byte of the file lies in this range"), PROBLEM
                )
                return None
        status, sent = (200, Part(0, size)) if part is None else (206, part)
        if part is not None:
            said = b"bytes %d-%d/%d" % (part.start, part.end - 1, size)
            exchange.extra.append((b"content-range", said))
        name = quote(artifact.name, safe="")
        await exchange.start(
            status,
            artifact.media_type.encode(),
            (b"content-length", b"%d" % (sent.end - sent.start)),
            (b"content-disposition", f"attachment; filename*=UTF-8''{name}".encode()),
            (b"content-security-policy", b"sandbox"),
        )
        return Part(whole.start + sent.start, whole.start + sent.end)


def _wanted(request: DownloadArtifact, size: int) -> Part:
    """What the query asks for of a file of this size; a `Range` is one of that. Refused(RangeOutside)."""
    if request.offset and request.offset >= size:
        raise Refused(RangeOutside(size=size))
    end = size if request.length is None else min(size, request.offset + request.length)
    return Part(request.offset, end)


async def _parts(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in parts of PART_BYTES; the last is what is left."""
    buffer = bytearray()
    async for chunk in chunks:
        buffer += chunk
        while len(buffer) >= PART_BYTES:
            yield bytes(buffer[:PART_BYTES])
            del buffer[:PART_BYTES]
    if buffer:
        yield bytes(buffer)


def _first(group: BaseExceptionGroup[Refused | Disconnect]) -> Refused | Disconnect:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, Refused | Disconnect)  # noqa: S101 - except* let nothing else in
    return error
