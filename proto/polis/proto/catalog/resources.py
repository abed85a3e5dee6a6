"""Resources: named, declarative things with a draft that changes."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from polis.proto.catalog.words import (
    MAX_BODY,
    Content,
    Environment,
    NewTitle,
    Note,
    ResourceKey,
    ResourceType,
    Revision,
    Status,
    Tag,
    Tags,
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
    tags: Tags = ()
    status: Status = "draft"
    deprecation: Note = ""


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


@problem(status=409)
class InUse(Problem, frozen=True):
    """Something depends on it: other resources that use it, or environments in which it is active."""

    users: tuple[str, ...]
    environments: tuple[Environment, ...]


@event(entity="resource_id")
class ResourceCreated(Event, frozen=True):
    """A resource exists from now on."""

    resource_id: UUID
    type: ResourceType
    key: ResourceKey


@event(entity="resource_id", listeners=("runtime",), at_once=("runtime",))
class ResourceChanged(Event, frozen=True):
    """Name, visibility, tags or deprecation of a resource are other ones."""

    resource_id: UUID
    visibility: Visibility
    status: Status


@event(entity="resource_id", listeners=("runtime",), at_once=("runtime",))
class ResourceDeleted(Event, frozen=True):
    """A resource is gone, with its versions."""

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
    name: NewTitle = ""
    visibility: Visibility = "org"
    tags: Tags = ()


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
    """Read the draft of a resource of the org; with `type`, of one of that type alone."""

    resource_id: UUID
    type: ResourceType | None = None


@operation(
    http="PUT /resources/{resource_id}/draft",
    scope="catalog:write",
    problems=(ResourceNotFound, ForeignResource, RevisionConflict, ContentInvalid),
    max_body=MAX_BODY,
)
class PutDraft(Request[Draft], frozen=True):
    """Replace the draft, with `type` of one of that type alone. `revision` is the one that was read; another one in between is a conflict."""

    resource_id: UUID
    revision: Revision
    content: Content
    type: ResourceType | None = None


@operation(
    http="PATCH /resources/{resource_id}",
    scope="catalog:write",
    problems=(ResourceNotFound, ForeignResource),
)
class ChangeResource(Request[Resource], frozen=True):
    """Change what is said of a resource; what is absent stays. Creator, owners and admins may change its visibility."""

    resource_id: UUID
    name: NewTitle | None = None
    visibility: Visibility | None = None
    tags: Tags | None = None


@operation(
    http="PUT /resources/{resource_id}/deprecation",
    scope="catalog:write",
    problems=(ResourceNotFound, ForeignResource),
)
class Deprecate(Request[Resource], frozen=True):
    """Say that nobody should begin to use a resource, and what to use instead. What uses it goes on."""

    resource_id: UUID
    note: Note = ""


@operation(
    http="DELETE /resources/{resource_id}/deprecation",
    scope="catalog:write",
    problems=(ResourceNotFound, ForeignResource),
)
class Reinstate(Request[Resource], frozen=True):
    """Take a deprecation back."""

    resource_id: UUID


@operation(
    http="DELETE /resources/{resource_id}",
    scope="catalog:write",
    problems=(ResourceNotFound, ForeignResource, InUse),
)
class DeleteResource(Request[None], frozen=True):
    """Delete a resource with its versions, with `type` one of that type alone. Refused while it is active anywhere or something uses it."""

    resource_id: UUID
    type: ResourceType | None = None


@operation(http="GET /search", scope="catalog:read")
class SearchResources(Request[Page[Resource]], frozen=True):
    """Find resources that the caller may see: every word of `text` begins a word of theirs, the best fit first."""

    text: Annotated[str, Meta(max_length=200, pattern=r"^[^\x00]*$", examples=["mail digest"])] = ""
    type: ResourceType | None = None
    tag: Tag | None = None
    status: Status | None = None
    owner: UUID | None = None
    after: Cursor | None = None
    limit: Limit = 50
