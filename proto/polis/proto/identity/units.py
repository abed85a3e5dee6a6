"""Units: the parts of an org. Projects hold applications and services; agents, grants, keys and quotas bind to any of them."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from polis.proto.contract import Cursor, Event, Limit, Page, Problem, Request, Time, event, operation, problem
from polis.proto.identity.words import Key, Name, NewName

UnitKind = Annotated[
    Literal["project", "application", "service"],
    Meta(description="An application is the org's or a project's, a service the org's or any other unit's."),
]


class Unit(Struct, frozen=True):
    """A part of an org, by its key."""

    id: UUID
    org_id: UUID
    kind: UnitKind
    key: Key
    name: Name
    parent_id: UUID | None
    created_by: UUID
    created_at: Time


@problem(status=409)
class UnitKeyTaken(Problem, frozen=True):
    """A unit of this org has this key."""

    key: str


@problem(status=404)
class UnitNotFound(Problem, frozen=True):
    """No unit of this org has this id."""

    unit_id: UUID


@problem(status=422)
class UnitMisplaced(Problem, frozen=True):
    """A unit of this kind cannot be a part of one of that kind."""

    kind: str
    parent: str


@problem(status=409)
class UnitInUse(Problem, frozen=True):
    """The unit has parts, agents or keys; they have to go first."""

    unit_id: UUID


@event(entity="unit_id", listeners=("catalog",))
class UnitCreated(Event, frozen=True):
    """The org has a unit more from now on."""

    unit_id: UUID
    unit: Unit


@event(entity="unit_id")
class UnitRenamed(Event, frozen=True):
    """A unit has another name from now on."""

    unit_id: UUID
    unit: Unit


@event(entity="unit_id", listeners=("catalog",))
class UnitDeleted(Event, frozen=True):
    """A unit is gone, with the grants and quotas that were bound to it."""

    unit_id: UUID


@operation(http="POST /units", scope="identity:units", problems=(UnitKeyTaken, UnitNotFound, UnitMisplaced))
class CreateUnit(Request[Unit], frozen=True):
    """Create a project, an application or a service of the org."""

    kind: UnitKind
    key: Key
    name: NewName
    parent_id: UUID | None = None


@operation(http="GET /units", scope="identity:read")
class ListUnits(Request[Page[Unit]], frozen=True):
    """List the units of the org by key: all, those of a kind, or the parts of one."""

    after: Cursor | None = None
    limit: Limit = 50
    kind: UnitKind | None = None
    parent_id: UUID | None = None


@operation(http="GET /units/{unit_id}", scope="identity:read", problems=(UnitNotFound,))
class GetUnit(Request[Unit], frozen=True):
    """Read a unit."""

    unit_id: UUID


@operation(http="PATCH /units/{unit_id}", scope="identity:units", problems=(UnitNotFound,))
class RenameUnit(Request[Unit], frozen=True):
    """Give a unit another name."""

    unit_id: UUID
    name: NewName


@operation(http="DELETE /units/{unit_id}", scope="identity:units", problems=(UnitNotFound, UnitInUse))
class DeleteUnit(Request[None], frozen=True):
    """Delete a unit that nothing is in, with the grants and quotas that are bound to it."""

    unit_id: UUID
