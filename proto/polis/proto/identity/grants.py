"""Grants: what a principal may do with which resources, under which conditions; and why a call is allowed or refused."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from polis.proto.contract import Event, Time, event
from polis.proto.identity.words import Role, Scope

ResourceName = Annotated[
    str,
    Meta(
        max_length=200,
        pattern=r"^[a-z][a-z0-9-]*(/[A-Za-z0-9._:-]+)+$(?!\n)",
        description="`<type>/<key or id>`, with further parts where a resource has some.",
        examples=["graph/email-digest"],
    ),
]
ResourcePattern = Annotated[
    str,
    Meta(
        max_length=200,
        pattern=r"^[A-Za-z0-9._:*-]+(/[A-Za-z0-9._:*-]+)*$(?!\n)",
        description="A resource's name; `*` stands for any characters of one part, `**` at the end for all further parts.",
        examples=["graph/email-*"],
    ),
]
DataClass = Annotated[
    Literal["public", "internal", "confidential", "restricted"],
    Meta(description="How sensitive data is, the least first.", examples=["internal"]),
]
Visibility = Annotated[
    Literal["private", "org", "public"],
    Meta(description="To whom a resource is open without a grant.", examples=["private"]),
]
HolderKind = Annotated[
    Literal["principal", "role", "unit", "everyone"],
    Meta(description="A user or agent, a role, those of a unit and of its parts, or everybody in the org."),
]


class Holder(Struct, frozen=True):
    """Who holds a grant: `id` names a principal or a unit, `role` a role; everyone has neither."""

    kind: HolderKind
    id: UUID | None = None
    role: Role | None = None


class Conditions(Struct, frozen=True):
    """Under which conditions a grant counts: until then, after somebody's approval, for data up to this class."""

    expires_at: Time | None = None
    approval: bool = False
    data_class: DataClass = "internal"


class Grant(Struct, frozen=True):
    """A holder may do this to resources of this pattern. It opens what is not open to the holder's role already."""

    id: UUID
    org_id: UUID
    holder: Holder
    verb: Scope
    resource: ResourcePattern
    given_by: UUID
    given_at: Time
    conditions: Conditions = Conditions()


@event(entity="grant_id")
class GrantGiven(Event, frozen=True):
    """A grant counts from now on."""

    grant_id: UUID
    grant: Grant


@event(entity="grant_id")
class GrantTaken(Event, frozen=True):
    """A grant counts no longer."""

    grant_id: UUID


Weight = Literal[
    "counts", "approval", "other_holder", "other_verb", "other_resource", "expired", "data_class"
]
"""What a grant is worth for a question: it counts, does after an approval, or why it does not."""
Reason = Literal["scope", "public", "org", "owner", "grant", "approval", "no_grant", "expired", "data_class"]
"""Why: by visibility, ownership or a grant; or the scope is not held, or what the nearest grant lacks."""


class Decision(Struct, frozen=True):
    """Whether something may be done: allowed, allowed once somebody approves, or refused; and why."""

    outcome: Literal["allowed", "approval", "refused"]
    reason: Reason
    grant_id: UUID | None = None
