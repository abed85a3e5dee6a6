"""Artifacts: files, their uploads, and how much an org may hold."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from polis.proto.catalog.bounds import QuotaExceeded
from polis.proto.catalog.words import Digest, Visibility
from polis.proto.contract import (
    Cursor,
    Event,
    Limit,
    Page,
    Problem,
    Request,
    Stream,
    Time,
    event,
    operation,
    problem,
)
from polis.proto.identity import OverQuota
from polis.proto.names import FILE

FileName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=255,
        pattern=r"^(?!\.\.?$)[^/\\\x00-\x1f\x7f]+$(?!\n)",
        description="Name of a file without a path.",
        examples=["inbox.mbox"],
    ),
]
NewFileName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=255,
        pattern=FILE,
        description="Name of a file without a path, with something to see and no control characters.",
        examples=["inbox.mbox"],
    ),
]
MediaType = Annotated[
    str,
    Meta(
        max_length=127,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*$(?!\n)",
        description="RFC 6838, without parameters.",
        examples=["application/mbox"],
    ),
]
PART_BYTES = 512 * 1024
"""Every part of an upload but the last has this many bytes."""
MAX_ARTIFACT_BYTES = 100 * 1024 * 1024


class Upload(Struct, frozen=True):
    """An artifact on its way: put its parts, then complete it."""

    id: UUID
    part_bytes: int
    expires_at: Time


class Part(Struct, frozen=True):
    """A stored part of an upload."""

    number: int
    size: int


class UploadState(Struct, frozen=True):
    """How far an upload has come: how many parts it has, and the first of those that are not there yet."""

    id: UUID
    size: int
    part_bytes: int
    parts: int
    missing: tuple[int, ...]
    expires_at: Time


class Artifact(Struct, frozen=True):
    """A stored file. `media_type` is what whoever stored it says, `found_type` what its first bytes are known to be."""

    id: UUID
    org_id: UUID
    name: FileName
    media_type: MediaType
    size: int
    sha256: Digest
    created_by: UUID
    created_at: Time
    visibility: Visibility = "org"
    found_type: MediaType | None = None


@problem(status=404)
class ArtifactNotFound(Problem, frozen=True):
    """No artifact that the caller may see has this id."""

    artifact_id: UUID


@problem(status=416)
class RangeOutside(Problem, frozen=True):
    """The file ends before this range begins."""

    size: int


@problem(status=404)
class UploadNotFound(Problem, frozen=True):
    """No open upload of the caller has this id."""

    upload_id: UUID


@problem(status=422)
class UploadIncomplete(Problem, frozen=True):
    """Parts are missing, or their size or SHA-256 is not what was announced."""

    reason: str


@event(entity="artifact_id")
class ArtifactStored(Event, frozen=True):
    """A file is stored from now on."""

    artifact_id: UUID
    name: FileName
    size: int
    sha256: Digest


@event(entity="artifact_id")
class ArtifactDeleted(Event, frozen=True):
    """A file is gone."""

    artifact_id: UUID


@event(entity="upload_id", listeners=("identity",))
class UploadSettled(Event, frozen=True):
    """What a quota set aside for an upload is settled at these bytes: none for one that ended, or that the org has already."""

    upload_id: UUID
    used: int


@event(entity="content_id", listeners=("identity",))
class StorageFreed(Event, frozen=True):
    """Bytes that counted against quotas are gone with the last file of this content; by whom they were stored."""

    content_id: UUID
    size: int
    principal_id: UUID
    key_id: UUID | None = None


@operation(http="POST /uploads", scope="catalog:write", problems=(QuotaExceeded, OverQuota))
class CreateUpload(Request[Upload], frozen=True):
    """Announce a file; its parts follow one by one and may be repeated."""

    name: NewFileName
    size: Annotated[int, Meta(ge=0, le=MAX_ARTIFACT_BYTES)]
    media_type: MediaType = "application/octet-stream"
    sha256: Digest | None = None
    visibility: Visibility = "org"


@operation(
    http="PUT /uploads/{upload_id}/parts/{number}",
    scope="catalog:write",
    problems=(UploadNotFound, UploadIncomplete),
    raw_body="content",
    max_body=PART_BYTES,
    idempotent=False,
)
class PutPart(Request[Part], frozen=True):
    """Store one part (numbered from 0). The same part again replaces it."""

    upload_id: UUID
    number: Annotated[int, Meta(ge=0, le=10_000)]
    content: bytes


@operation(http="GET /uploads/{upload_id}", scope="catalog:write", problems=(UploadNotFound,))
class GetUpload(Request[UploadState], frozen=True):
    """Read which parts of an open upload are missing, to go on with one that was interrupted: the first 200 of them."""

    upload_id: UUID


@operation(
    http="POST /uploads/{upload_id}/complete",
    scope="catalog:write",
    problems=(UploadNotFound, UploadIncomplete),
)
class CompleteUpload(Request[Artifact], frozen=True):
    """Check size and SHA-256 of the parts and make them an artifact."""

    upload_id: UUID
    sha256: Digest | None = None


@operation(http="DELETE /uploads/{upload_id}", scope="catalog:write", problems=(UploadNotFound,))
class CancelUpload(Request[None], frozen=True):
    """Give an open upload up: its parts are removed, and its room is free again."""

    upload_id: UUID


@operation(http="GET /artifacts", scope="catalog:read")
class ListArtifacts(Request[Page[Artifact]], frozen=True):
    """List the files of the org that the caller may see, newest first."""

    after: Cursor | None = None
    limit: Limit = 50


@operation(
    http="GET /artifacts/{artifact_id}",
    scope="catalog:read",
    problems=(ArtifactNotFound,),
    callers=("messaging", "runtime"),
)
class GetArtifact(Request[Artifact], frozen=True):
    """Read what is known of a file."""

    artifact_id: UUID


@operation(
    http="GET /artifacts/{artifact_id}/content",
    scope="catalog:read",
    problems=(ArtifactNotFound, RangeOutside),
    callers=("runtime",),
)
class DownloadArtifact(Request[Stream[bytes]], frozen=True):
    """Read a file's bytes as a stream: all, or those of a range, as many of them as there are."""

    artifact_id: UUID
    offset: Annotated[int, Meta(ge=0, le=MAX_ARTIFACT_BYTES)] = 0
    length: Annotated[int, Meta(ge=1, le=MAX_ARTIFACT_BYTES)] | None = None


@operation(http="PATCH /artifacts/{artifact_id}", scope="catalog:write", problems=(ArtifactNotFound,))
class ChangeArtifact(Request[Artifact], frozen=True):
    """Say who sees a file of the org: its creator, owners and admins may."""

    artifact_id: UUID
    visibility: Visibility


@operation(http="DELETE /artifacts/{artifact_id}", scope="catalog:write", problems=(ArtifactNotFound,))
class DeleteArtifact(Request[None], frozen=True):
    """Delete a file."""

    artifact_id: UUID
