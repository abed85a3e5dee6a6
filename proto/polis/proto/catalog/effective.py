"""What is active, for the service that acts on it: a version with who activated it, and where there are triggers."""

from __future__ import annotations

from uuid import UUID

from msgspec import Struct

from polis.proto.catalog.activations import NotActive
from polis.proto.catalog.words import Content, Environment, ResourceKey, ResourceType, Status, VersionNumber
from polis.proto.contract import INTERNAL, Cursor, Limit, Page, Request, Time, operation
from polis.proto.identity.words import Scopes


class Effective(Struct, frozen=True):
    """The version that an environment uses. `content` is empty for whatever is no graph.

    scopes: what the token could do by which it was activated.
    """

    org_id: UUID
    resource_id: UUID
    type: ResourceType
    key: ResourceKey
    environment: Environment
    number: VersionNumber
    status: Status
    activated_by: UUID
    activated_at: Time
    content: Content
    scopes: Scopes = ()


class EffectiveGraph(Struct, frozen=True):
    """An active graph that names triggers."""

    org_id: UUID
    resource_id: UUID
    environment: Environment
    number: VersionNumber


@operation(scope=INTERNAL, callers=("runtime",), problems=(NotActive,))
class GetEffective(Request[Effective], frozen=True):
    """Read the version that an environment uses, of any org."""

    org_id: UUID
    resource_id: UUID
    environment: Environment


@operation(scope=INTERNAL, callers=("runtime",))
class ListEffective(Request[Page[EffectiveGraph]], frozen=True):
    """List the active graphs of every org that name triggers."""

    after: Cursor | None = None
    limit: Limit = 200
