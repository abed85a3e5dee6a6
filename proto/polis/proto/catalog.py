"""The catalog answers for declarative resources, their immutable versions, and artifacts."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

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
from polis.proto.problems import Fault

ResourceType = Annotated[
    Literal[
        "component", "graph", "assistant", "context", "integration", "executor", "ruleset", "policy", "place"
    ],
    Meta(examples=["graph"]),
]
Content = Annotated[
    dict[str, object],
    Meta(
        description="The resource itself; its shape depends on the type (`Graph`, `Component`).",
        examples=[
            {
                "nodes": {"greet": {"component": "template", "config": {"template": "Hello {{name}}!"}}},
                "inputs": {"person": {"target": "greet.in"}},
                "outputs": {"text": {"source": "greet.out"}},
            }
        ],
    ),
]
Visibility = Literal["private", "org", "public"]
# `(?!\n)`: in Python's dialect `$` also matches before a newline at the end; in JSON Schema's it does not.
ResourceKey = Annotated[
    str,
    Meta(
        pattern=r"^[a-z][a-z0-9._-]{0,119}$(?!\n)",
        description="Name of a resource, unique per org and type.",
        examples=["email-digest"],
    ),
]
Environment = Annotated[
    str,
    Meta(
        pattern=r"^[a-z][a-z0-9-]{0,31}$(?!\n)",
        description="`production`, `staging`, ...",
        examples=["production"],
    ),
]
Digest = Annotated[
    str,
    Meta(
        pattern=r"^[0-9a-f]{64}$(?!\n)",
        description="SHA-256 in hexadecimal.",
        examples=["2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"],
    ),
]
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
MediaType = Annotated[
    str,
    Meta(
        max_length=127,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*$(?!\n)",
        description="RFC 6838, without parameters.",
        examples=["application/mbox"],
    ),
]
Title = Annotated[str, Meta(max_length=120, pattern=r"^[^\x00-\x1f\x7f]*$(?!\n)", examples=["E-mail digest"])]
Changelog = Annotated[str, Meta(max_length=2000, pattern=r"^[^\x00]*$", examples=["Drops bulk mail first."])]
Revision = Annotated[
    int, Meta(ge=1, le=2_000_000_000, description="Counts the changes of a resource's draft.")
]
VersionNumber = Annotated[int, Meta(ge=1, le=999_999_999, description="Counts a resource's versions from 1.")]

PART_BYTES = 512 * 1024
"""Every part of an upload but the last has this many bytes."""
MAX_ARTIFACT_BYTES = 100 * 1024 * 1024
MAX_GRAPH_BYTES = 512 * 1024
"""Bytes of the canonical JSON of a graph or component: a version must fit into one message of the bus (1 MiB)."""
MAX_CONTENT_BYTES = 256 * 1024
"""Bytes of the canonical JSON of a resource of any other type."""
MAX_BODY = 768 * 1024
"""Bytes of a body that carries a content: room for spaces and escapes, and still one message of the bus."""


class Resource(Struct, frozen=True):
    """A named thing with immutable versions. `revision` counts changes of its draft."""

    id: UUID
    org_id: UUID
    type: ResourceType
    key: ResourceKey
    name: Title
    visibility: Visibility
    revision: Revision
    latest: VersionNumber | None
    created_by: UUID
    created_at: Time
    updated_at: Time


class Draft(Struct, frozen=True):
    """The changeable content from which the next version is published."""

    resource_id: UUID
    revision: Revision
    content: Content


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


class Activation(Struct, frozen=True):
    """Which version an environment uses."""

    resource_id: UUID
    environment: Environment
    number: VersionNumber
    activated_by: UUID
    activated_at: Time


class Upload(Struct, frozen=True):
    """An artifact on its way: put its parts, then complete it."""

    id: UUID
    part_bytes: int
    expires_at: Time


class Part(Struct, frozen=True):
    """A stored part of an upload."""

    number: int
    size: int


class Artifact(Struct, frozen=True):
    """A stored file."""

    id: UUID
    org_id: UUID
    name: FileName
    media_type: MediaType
    size: int
    sha256: Digest
    created_by: UUID
    created_at: Time


@problem(status=404)
class ResourceNotFound(Problem, frozen=True):
    """No resource that the caller may see has this id or key."""

    resource: str


@problem(status=403)
class ForeignResource(Problem, frozen=True):
    """The resource is public and another org's: its versions can be read, nothing of it changed."""

    resource: str


@problem(status=409)
class KeyTaken(Problem, frozen=True):
    """The org has a resource of this type and key."""

    resource_type: str
    key: str


@problem(status=404)
class VersionNotFound(Problem, frozen=True):
    """The resource has no such version."""

    version: str


@problem(status=409)
class RevisionConflict(Problem, frozen=True):
    """The draft was changed by somebody else since it was read."""

    expected: int
    actual: int


@problem(status=422)
class ContentInvalid(Problem, frozen=True):
    """The content is not a valid resource of its type; every fault is listed."""

    faults: tuple[Fault, ...]


@problem(status=404)
class NotActive(Problem, frozen=True):
    """The resource has no active version in this environment."""

    environment: str


@problem(status=404)
class ArtifactNotFound(Problem, frozen=True):
    """No artifact that the caller may see has this id."""

    artifact_id: UUID


@problem(status=404)
class UploadNotFound(Problem, frozen=True):
    """No open upload of the caller has this id."""

    upload_id: UUID


@problem(status=422)
class UploadIncomplete(Problem, frozen=True):
    """Parts are missing, or their size or SHA-256 is not what was announced."""

    reason: str


@problem(status=429)
class QuotaExceeded(Problem, frozen=True):
    """The org has as much of this as it may; what is deleted or expires makes room."""

    quota: Literal["open_uploads", "stored_bytes"]
    limit: int
    used: int


@event(entity="resource_id")
class ResourceCreated(Event, frozen=True):
    """A resource exists from now on."""

    resource_id: UUID
    type: ResourceType
    key: ResourceKey


@event(entity="resource_id")
class VersionPublished(Event, frozen=True):
    """A resource has a new version."""

    resource_id: UUID
    type: ResourceType
    key: ResourceKey
    number: VersionNumber
    digest: Digest


@event(entity="resource_id")
class VersionActivated(Event, frozen=True):
    """An environment uses another version of a resource from now on."""

    resource_id: UUID
    environment: Environment
    number: VersionNumber


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


@operation(
    http="POST /resources",
    scope="catalog:write",
    problems=(KeyTaken, ContentInvalid),
    max_body=MAX_BODY,
)
class CreateResource(Request[Resource], frozen=True):
    """Create a resource with a first draft."""

    type: ResourceType
    key: ResourceKey
    content: Content
    name: Title = ""
    visibility: Visibility = "org"


@operation(http="GET /resources", scope="catalog:read")
class ListResources(Request[Page[Resource]], frozen=True):
    """List the resources that the caller may see, its org's and public ones, by key."""

    type: ResourceType | None = None
    after: Cursor | None = None
    limit: Limit = 50


@operation(http="GET /resources/{resource_id}", scope="catalog:read", problems=(ResourceNotFound,))
class GetResource(Request[Resource], frozen=True):
    """Read one resource."""

    resource_id: UUID


@operation(
    http="GET /resources/{resource_id}/draft",
    scope="catalog:read",
    problems=(ResourceNotFound, ForeignResource),
)
class GetDraft(Request[Draft], frozen=True):
    """Read the draft of a resource of the org."""

    resource_id: UUID


@operation(
    http="PUT /resources/{resource_id}/draft",
    scope="catalog:write",
    problems=(ResourceNotFound, ForeignResource, RevisionConflict, ContentInvalid),
    max_body=MAX_BODY,
)
class PutDraft(Request[Draft], frozen=True):
    """Replace the draft. `revision` is the one that was read; another one in between is a conflict."""

    resource_id: UUID
    revision: Revision
    content: Content


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


@operation(
    http="PUT /resources/{resource_id}/activations/{environment}",
    scope="catalog:write",
    problems=(ResourceNotFound, ForeignResource, VersionNotFound),
)
class Activate(Request[Activation], frozen=True):
    """Make an environment use a version."""

    resource_id: UUID
    environment: Environment
    number: VersionNumber


@operation(
    http="GET /active/{type}/{key}",
    scope="catalog:read",
    problems=(ResourceNotFound, NotActive),
    callers=("runtime",),
)
class ResolveResource(Request[Version], frozen=True):
    """Read the version that an environment uses: the org's own resource first, then the mesh's public one."""

    type: ResourceType
    key: ResourceKey
    environment: Environment = "production"


@operation(http="POST /uploads", scope="catalog:write", problems=(QuotaExceeded,))
class CreateUpload(Request[Upload], frozen=True):
    """Announce a file; its parts follow one by one and may be repeated."""

    name: FileName
    size: Annotated[int, Meta(ge=0, le=MAX_ARTIFACT_BYTES)]
    media_type: MediaType = "application/octet-stream"
    sha256: Digest | None = None


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
    """List the files of the org, newest first."""

    after: Cursor | None = None
    limit: Limit = 50


@operation(
    http="GET /artifacts/{artifact_id}",
    scope="catalog:read",
    problems=(ArtifactNotFound,),
    callers=("runtime",),
)
class GetArtifact(Request[Artifact], frozen=True):
    """Read what is known of a file."""

    artifact_id: UUID


@operation(
    http="GET /artifacts/{artifact_id}/content",
    scope="catalog:read",
    problems=(ArtifactNotFound,),
    callers=("runtime",),
)
class DownloadArtifact(Request[Stream[bytes]], frozen=True):
    """Read a file's bytes as a stream."""

    artifact_id: UUID


@operation(http="DELETE /artifacts/{artifact_id}", scope="catalog:write", problems=(ArtifactNotFound,))
class DeleteArtifact(Request[None], frozen=True):
    """Delete a file."""

    artifact_id: UUID
