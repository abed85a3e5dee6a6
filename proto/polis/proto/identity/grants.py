"""Grants: what a principal may do with which resources, under which conditions; and why a call is allowed or refused."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from polis.proto.contract import (
    EVERY_SERVICE,
    INTERNAL,
    SIGNED_IN,
    Cursor,
    Event,
    Limit,
    Page,
    Problem,
    Request,
    Time,
    event,
    operation,
    problem,
)
from polis.proto.identity.tokens import PrincipalNotFound
from polis.proto.identity.words import Role, Scope, Scopes

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
    """Under which conditions a grant counts: until then, once a second person has approved it, for data up to this class.

    `approval` is of the grant, once; it is not asked for at each use.
    """

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
    conditions: Conditions
    approved_by: UUID | None = None
    approved_at: Time | None = None


@event(entity="grant_id", listeners=("catalog",))
class GrantGiven(Event, frozen=True):
    """A grant counts from now on, or from its approval on if that is among its conditions."""

    grant_id: UUID
    grant: Grant


@event(entity="grant_id", listeners=("catalog", "runtime"))
class GrantTaken(Event, frozen=True):
    """A grant counts no longer."""

    grant_id: UUID


@event(entity="grant_id", listeners=("catalog",))
class GrantApproved(Event, frozen=True):
    """A grant that waited for approval counts from now on."""

    grant_id: UUID
    grant: Grant


@event(entity="grant_id", listeners=("catalog", "runtime"))
class ApprovalWithdrawn(Event, frozen=True):
    """A grant waits for approval again, and does not count until then."""

    grant_id: UUID


Weight = Literal[
    "counts", "approval", "other_holder", "other_verb", "other_resource", "expired", "data_class"
]
"""What a grant is worth for a question: it counts, would once it is approved, or why it does not."""
Reason = Literal["scope", "public", "org", "owner", "grant", "approval", "no_grant", "expired", "data_class"]
"""Why: by visibility, ownership or a grant; or the scope is not held, or what the nearest grant lacks."""


class Decision(Struct, frozen=True):
    """Whether something may be done: allowed, allowed once the grant is approved, or refused; and why."""

    outcome: Literal["allowed", "approval", "refused"]
    reason: Reason
    grant_id: UUID | None = None


class Weighed(Struct, frozen=True):
    """A grant of the principal and what it is worth for the question."""

    grant: Grant
    weight: Weight


class Explanation(Struct, frozen=True):
    """A decision and what it rests on: the role, whether its scopes hold the verb, and the nearest grants."""

    decision: Decision
    principal_id: UUID
    role: Role
    holds_verb: bool
    grants: tuple[Weighed, ...]


@problem(status=404)
class HolderNotFound(Problem, frozen=True):
    """The org has no such principal, role or unit."""

    holder: Holder


@problem(status=404)
class GrantNotFound(Problem, frozen=True):
    """The org has no grant of this id."""

    grant_id: UUID


@problem(status=409)
class NotYoursToApprove(Problem, frozen=True):
    """Whoever gave or holds a grant does not approve it."""


@problem(status=409)
class NoApprovalAwaited(Problem, frozen=True):
    """The grant is approved already, or counts without."""


@problem(status=409)
class NotApproved(Problem, frozen=True):
    """The grant has no approval that could be withdrawn."""


@problem(status=409)
class TooManyGrants(Problem, frozen=True):
    """The holder has as many grants as it may have."""

    most: int


@operation(http="POST /grants", scope="identity:access", problems=(HolderNotFound, TooManyGrants))
class GiveGrant(Request[Grant], frozen=True):
    """Let a holder do something that the caller's role may do to resources of a pattern, under conditions."""

    holder: Holder
    verb: Scope
    resource: ResourcePattern
    conditions: Conditions | None = None


@operation(http="GET /grants", scope="identity:access")
class ListGrants(Request[Page[Grant]], frozen=True):
    """List the grants of the org, oldest first: all, or those that name a principal or a unit."""

    after: Cursor | None = None
    limit: Limit = 50
    holder_id: UUID | None = None


@operation(http="DELETE /grants/{grant_id}", scope="identity:access", problems=(GrantNotFound,))
class TakeGrant(Request[None], frozen=True):
    """Take a grant back."""

    grant_id: UUID


@operation(
    http="POST /grants/{grant_id}/approval",
    scope="identity:access",
    problems=(GrantNotFound, NotYoursToApprove, NoApprovalAwaited),
)
class ApproveGrant(Request[Grant], frozen=True):
    """Make a grant count that waits for approval: in person, by who could have given it but did not, and does not hold it."""

    grant_id: UUID


@operation(
    http="DELETE /grants/{grant_id}/approval", scope="identity:access", problems=(GrantNotFound, NotApproved)
)
class WithdrawApproval(Request[Grant], frozen=True):
    """Let an approved grant wait for approval again, whoever approved it."""

    grant_id: UUID


@operation(http="GET /access/explain", scope=SIGNED_IN, problems=(PrincipalNotFound,))
class ExplainAccess(Request[Explanation], frozen=True):
    """Tell whether the caller may do something to a resource, and why; or somebody else, for who manages access.

    For oneself the token counts: what a key does not hold is refused. `visibility` and `owner_id` are the resource's.
    """

    verb: Scope
    resource: ResourceName
    principal_id: UUID | None = None
    visibility: Visibility = "private"
    owner_id: UUID | None = None
    data_class: DataClass = "internal"


@operation(scope=INTERNAL, callers=(EVERY_SERVICE,), problems=(PrincipalNotFound,))
class CheckAccess(Request[Decision], frozen=True):
    """Decide for a service whether a principal may do something to a resource; `scopes` are what its token holds."""

    org_id: UUID
    principal_id: UUID
    verb: Scope
    resource: ResourceName
    visibility: Visibility = "private"
    owner_id: UUID | None = None
    data_class: DataClass = "internal"
    scopes: Scopes | None = None
