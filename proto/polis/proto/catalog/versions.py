"""Versions: immutable snapshots of a resource, addressed by their content."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from polis.proto.catalog.bounds import QuotaExceeded
from polis.proto.catalog.resources import ContentInvalid, ForeignResource, ResourceNotFound, RevisionConflict
from polis.proto.catalog.words import (
    Changelog,
    Content,
    Digest,
    ResourceKey,
    ResourceType,
    Revision,
    VersionName,
    VersionNumber,
)
from polis.proto.contract import Cursor, Event, Limit, Page, Problem, Request, Time, event, operation, problem


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
    problems=(ResourceNotFound, ForeignResource, RevisionConflict, ContentInvalid, QuotaExceeded),
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
    version: VersionName


@problem(status=409)
class DependencyGone(Problem, frozen=True):
    """The version uses what was deleted since."""

    used: tuple[str, ...]


class Difference(Struct, frozen=True):
    """One change (as RFC 6902): `old` is what the pointer led to before, `value` what it leads to after."""

    op: Literal["add", "remove", "replace"]
    path: str
    value: object = None
    old: object = None


class Comparison(Struct, frozen=True):
    """What turns one version into another. `complete` is false when it was too long: values or changes are left out."""

    resource_id: UUID
    base: VersionNumber
    version: VersionNumber
    changes: tuple[Difference, ...]
    complete: bool = True


class Dependency(Struct, frozen=True):
    """A version uses another resource. `used_number` is what it came to when the user was published."""

    resource_id: UUID
    type: ResourceType
    key: ResourceKey
    number: VersionNumber
    used_id: UUID
    used_type: ResourceType
    used_key: ResourceKey
    used_number: VersionNumber
    pinned: bool


@operation(
    http="GET /resources/{resource_id}/versions/{version}/differences",
    scope="catalog:read",
    problems=(ResourceNotFound, VersionNotFound),
)
class CompareVersions(Request[Comparison], frozen=True):
    """Compare a version with another one of its resource, `base`; by default the one before it."""

    resource_id: UUID
    version: VersionName
    base: VersionName | None = None


@operation(
    http="GET /resources/{resource_id}/versions/{version}/dependencies",
    scope="catalog:read",
    problems=(ResourceNotFound, VersionNotFound),
)
class ListDependencies(Request[Page[Dependency]], frozen=True):
    """List what a version uses, by type and key."""

    resource_id: UUID
    version: VersionName
    after: Cursor | None = None
    limit: Limit = 50


@operation(http="GET /resources/{resource_id}/dependents", scope="catalog:read", problems=(ResourceNotFound,))
class ListDependents(Request[Page[Dependency]], frozen=True):
    """List the org's versions that use a resource and are the latest of theirs, or active somewhere."""

    resource_id: UUID
    after: Cursor | None = None
    limit: Limit = 50
