"""Resources: named, declarative things with a draft that changes."""

from __future__ import annotations

from uuid import UUID

from msgspec import Struct

from polis.proto.catalog.words import (
    MAX_BODY,
    Content,
    ResourceKey,
    ResourceType,
    Revision,
    Title,
    VersionNumber,
    Visibility,
)
from polis.proto.contract import Cursor, Event, Limit, Page, Problem, Request, Time, event, operation, problem
from polis.proto.problems import Fault


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


@problem(status=409)
class RevisionConflict(Problem, frozen=True):
    """The draft was changed by somebody else since it was read."""

    expected: int
    actual: int


@problem(status=422)
class ContentInvalid(Problem, frozen=True):
    """The content is not a valid resource of its type; every fault is listed."""

    faults: tuple[Fault, ...]


@event(entity="resource_id")
class ResourceCreated(Event, frozen=True):
    """A resource exists from now on."""

    resource_id: UUID
    type: ResourceType
    key: ResourceKey


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
