"""Activations: which version an environment uses."""

from __future__ import annotations

from uuid import UUID

from msgspec import Struct

from polis.proto.catalog.resources import ForeignResource, InUse, ResourceNotFound
from polis.proto.catalog.versions import DependencyGone, Version, VersionNotFound
from polis.proto.catalog.words import Environment, ResourceKey, ResourceType, VersionNumber
from polis.proto.contract import Cursor, Event, Limit, Page, Problem, Request, Time, event, operation, problem


class Activation(Struct, frozen=True):
    """Which version an environment uses."""

    resource_id: UUID
    environment: Environment
    number: VersionNumber
    activated_by: UUID
    activated_at: Time


class Move(Struct, frozen=True):
    """One time that an environment went from a version to another; null stands for none."""

    change: int
    number: VersionNumber | None
    previous: VersionNumber | None
    activated_by: UUID
    activated_at: Time


@problem(status=404)
class NotActive(Problem, frozen=True):
    """The resource has no active version in this environment."""

    environment: str


@event(entity="resource_id", listeners=("runtime",), at_once=("runtime",), shown="catalog:read")
class VersionActivated(Event, frozen=True):
    """An environment uses another version of a resource from now on."""

    resource_id: UUID
    environment: Environment
    number: VersionNumber


@event(entity="resource_id", listeners=("runtime",), at_once=("runtime",), shown="catalog:read")
class VersionDeactivated(Event, frozen=True):
    """An environment uses no version of a resource any more."""

    resource_id: UUID
    environment: Environment
    number: VersionNumber


@problem(status=409)
class BreaksGraphs(Problem, frozen=True):
    """Graphs that are active would not run any more: their ports and the component's come in one change set."""

    graphs: tuple[str, ...]


@operation(
    http="PUT /resources/{resource_id}/activations/{environment}",
    scope="catalog:write",
    problems=(ResourceNotFound, ForeignResource, VersionNotFound, DependencyGone, BreaksGraphs),
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
    """Read the version that an environment uses: the org's own resource first, then the mesh's public one.

    With `number` that version, wherever it is active.
    """

    type: ResourceType
    key: ResourceKey
    environment: Environment = "production"
    number: VersionNumber | None = None


@operation(
    http="DELETE /resources/{resource_id}/activations/{environment}",
    scope="catalog:write",
    problems=(ResourceNotFound, ForeignResource, NotActive, InUse),
)
class Deactivate(Request[None], frozen=True):
    """Make an environment use no version. Refused while something that is active there uses the resource."""

    resource_id: UUID
    environment: Environment


@operation(
    http="GET /resources/{resource_id}/activations", scope="catalog:read", problems=(ResourceNotFound,)
)
class ListActivations(Request[Page[Activation]], frozen=True):
    """List which version each environment uses."""

    resource_id: UUID
    after: Cursor | None = None
    limit: Limit = 50


@operation(
    http="GET /resources/{resource_id}/activations/{environment}/history",
    scope="catalog:read",
    problems=(ResourceNotFound, ForeignResource),
)
class ListMoves(Request[Page[Move]], frozen=True):
    """List every time that an environment went to another version, newest first."""

    resource_id: UUID
    environment: Environment
    after: Cursor | None = None
    limit: Limit = 50
