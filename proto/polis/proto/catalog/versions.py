"""Versions: immutable snapshots of a resource, addressed by their content."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from polis.proto.catalog.resources import ContentInvalid, ForeignResource, ResourceNotFound, RevisionConflict
from polis.proto.catalog.words import (
    Changelog,
    Content,
    Digest,
    ResourceKey,
    ResourceType,
    Revision,
    VersionNumber,
)
from polis.proto.contract import Cursor, Event, Page, Problem, Request, Time, event, operation, problem


class Version(Struct, frozen=True):
    """An immutable snapshot, addressed by the SHA-256 of its canonical JSON (RFC 8785)."""

    resource_id: UUID
    type: ResourceType
    key: ResourceKey
    number: VersionNumber
    digest: Digest
    content: Content
    changelog: Changelog
    published_by: UUID
    published_at: Time


class VersionSummary(Struct, frozen=True):
    """A version without its content."""

    resource_id: UUID
    number: VersionNumber
    digest: Digest
    changelog: Changelog
    published_by: UUID
    published_at: Time


@problem(status=404)
class VersionNotFound(Problem, frozen=True):
    """The resource has no such version."""

    version: str


@event(entity="resource_id")
class VersionPublished(Event, frozen=True):
    """A resource has a new version."""

    resource_id: UUID
    type: ResourceType
    key: ResourceKey
    number: VersionNumber
    digest: Digest


@operation(
    http="POST /resources/{resource_id}/versions",
    scope="catalog:write",
    problems=(ResourceNotFound, ForeignResource, RevisionConflict, ContentInvalid),
)
class PublishVersion(Request[Version], frozen=True):
    """Publish the draft as an immutable version. Unchanged content gives the latest version again."""

    resource_id: UUID
    changelog: Changelog = ""
    revision: Revision | None = None


@operation(http="GET /resources/{resource_id}/versions", scope="catalog:read", problems=(ResourceNotFound,))
class ListVersions(Request[Page[VersionSummary]], frozen=True):
    """List the versions of a resource, newest first."""

    resource_id: UUID
    after: Cursor | None = None
    limit: Annotated[int, Meta(ge=1, le=100, description="How many items a page holds at the most.")] = 50


@operation(
    http="GET /resources/{resource_id}/versions/{version}",
    scope="catalog:read",
    problems=(ResourceNotFound, VersionNotFound),
)
class GetVersion(Request[Version], frozen=True):
    """Read a version by number or SHA-256."""

    resource_id: UUID
    version: Annotated[
        str,
        Meta(
            pattern=r"^([0-9]{1,9}|[0-9a-f]{64})$(?!\n)",
            description="Number or SHA-256 of a version.",
            examples=["1"],
        ),
    ]
