"""Activations: which version an environment uses."""

from __future__ import annotations

from uuid import UUID

from msgspec import Struct

from polis.proto.catalog.resources import ForeignResource, ResourceNotFound
from polis.proto.catalog.versions import Version, VersionNotFound
from polis.proto.catalog.words import Environment, ResourceKey, ResourceType, VersionNumber
from polis.proto.contract import Event, Problem, Request, Time, event, operation, problem


class Activation(Struct, frozen=True):
    """Which version an environment uses."""

    resource_id: UUID
    environment: Environment
    number: VersionNumber
    activated_by: UUID
    activated_at: Time


@problem(status=404)
class NotActive(Problem, frozen=True):
    """The resource has no active version in this environment."""

    environment: str


@event(entity="resource_id")
class VersionActivated(Event, frozen=True):
    """An environment uses another version of a resource from now on."""

    resource_id: UUID
    environment: Environment
    number: VersionNumber


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
