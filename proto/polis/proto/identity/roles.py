"""Roles: bundles of grants on all that is open to the org. Four are in every org; an org makes others of its own."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from polis.proto.contract import Event, Page, Problem, Request, Time, event, operation, problem
from polis.proto.identity.words import Name, NewName, Role, Scope

RoleScopes = Annotated[tuple[Scope, ...], Meta(min_length=1, max_length=64)]


class OrgRole(Struct, frozen=True):
    """A role and what it may do. Those that every org has cannot be changed and have no maker."""

    key: Role
    name: Name
    scopes: RoleScopes
    created_by: UUID | None = None
    created_at: Time | None = None


@problem(status=404)
class RoleNotFound(Problem, frozen=True):
    """The org has no such role, or it is none that can be given or changed."""

    role: str


@problem(status=409)
class RoleTaken(Problem, frozen=True):
    """The org has a role of this key, or every org has."""

    role: str


@problem(status=409)
class RoleInUse(Problem, frozen=True):
    """Members have this role, or are invited to it."""

    role: str


@problem(status=409)
class TooManyRoles(Problem, frozen=True):
    """The org has as many roles of its own as it may have."""

    most: int


@event(entity="org_id")
class RoleChanged(Event, frozen=True):
    """A role of the org's own may do this from now on; without scopes it is gone."""

    role: Role
    scopes: tuple[Scope, ...]


@operation(http="POST /roles", scope="identity:access", problems=(RoleTaken, TooManyRoles))
class CreateRole(Request[OrgRole], frozen=True):
    """Create a role of the org's own, with scopes that the caller holds."""

    key: Role
    name: NewName
    scopes: RoleScopes


@operation(http="GET /roles", scope="identity:read")
class ListRoles(Request[Page[OrgRole]], frozen=True):
    """List the roles that members of the org can have, on one page: those of every org, then its own by key."""


@operation(http="PATCH /roles/{role}", scope="identity:access", problems=(RoleNotFound,))
class UpdateRole(Request[OrgRole], frozen=True):
    """Change the name or the scopes of a role of the org's own. Members' tokens end when it may do less."""

    role: Role
    name: NewName | None = None
    scopes: RoleScopes | None = None


@operation(http="DELETE /roles/{role}", scope="identity:access", problems=(RoleNotFound, RoleInUse))
class DeleteRole(Request[None], frozen=True):
    """Delete a role that nobody has and nobody is invited to, with its grants."""

    role: Role
