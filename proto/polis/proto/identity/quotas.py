"""Quotas and budgets: how much of something an org or a part of it may use in a period. Services reserve and settle."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from polis.proto.contract import (
    EVERY_SERVICE,
    INTERNAL,
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

Meter = Annotated[
    Literal["requests", "messages", "runs", "tokens", "money", "storage"],
    Meta(
        description="What is counted: money in millionths of the org's currency, storage in bytes, tokens of models."
        " By now `requests`, `messages`, `runs` and `storage` are;"
        " a bound of another meter holds nobody back before its service counts it. A request is a call of an operation by HTTP"
        " or a live socket, but for those of identity and of one's own session. A message is what is said by PostMessage, or as"
        " a stream."
    ),
]
Period = Annotated[
    Literal["minute", "hour", "day", "month", "total"],
    Meta(description="Counted from its beginning in UTC; `total` never begins anew."),
]
Amount = Annotated[int, Meta(ge=0, le=1_000_000_000_000_000, examples=[1000])]
SubjectKind = Annotated[
    Literal["org", "unit", "principal", "key"],
    Meta(description="The org, a unit with its parts, a user or agent, or an API key."),
]

MAX_TTL_S = 691_200
"""A reservation may stay for eight days: as long as an upload may take, and a day to settle it."""


class Subject(Struct, frozen=True):
    """Whose use is counted: `id` names a unit, a principal or a key, and is absent for the org."""

    kind: SubjectKind
    id: UUID | None = None


class Quota(Struct, frozen=True):
    """A bound and what has been used of it in the present period. `imposed`: by who administers the mesh, not by the org."""

    id: UUID
    org_id: UUID
    subject: Subject
    meter: Meter
    period: Period
    most: Amount
    imposed: bool
    used: int
    reserved: int
    resets_at: Time | None
    set_by: UUID
    set_at: Time


class Reservation(Struct, frozen=True):
    """An amount set aside until it is settled; when it expires unsettled, all of it counts as used.

    left: what the tightest quota leaves beside it; absent where none applies, and for one that was made before.
    """

    id: UUID
    expires_at: Time
    left: int | None = None


@problem(status=429)
class OverQuota(Problem, frozen=True):
    """A quota leaves too little for this in its period."""

    quota_id: UUID
    meter: Meter
    period: Period
    most: int
    left: int
    resets_at: Time | None = None


@problem(status=404)
class QuotaNotFound(Problem, frozen=True):
    """The org has no quota of this id."""

    quota_id: UUID


@problem(status=404)
class SubjectNotFound(Problem, frozen=True):
    """The org has no such unit, principal or key."""

    subject: Subject


@event(entity="quota_id", listeners=("catalog", "messaging", "runtime"))
class QuotaSet(Event, frozen=True):
    """A subject may use so much from now on."""

    quota_id: UUID
    subject: Subject
    meter: Meter
    period: Period
    most: int


@event(entity="quota_id", listeners=("catalog", "messaging", "runtime"))
class QuotaRemoved(Event, frozen=True):
    """A quota bounds nothing any more."""

    quota_id: UUID


@operation(http="PUT /quotas", scope="identity:quotas", problems=(SubjectNotFound,))
class SetQuota(Request[Quota], frozen=True):
    """Bound what a subject may use of something in a period, or change that bound; what was used stays counted.

    Only who administers the mesh imposes quotas; of those that apply the tightest counts.
    """

    subject: Subject
    meter: Meter
    period: Period
    most: Amount
    imposed: bool = False


@operation(http="GET /quotas", scope="identity:read")
class ListQuotas(Request[Page[Quota]], frozen=True):
    """List the quotas of the org with what is used of them: all, or those of a unit, principal or key."""

    after: Cursor | None = None
    limit: Limit = 50
    subject_id: UUID | None = None


@operation(http="DELETE /quotas/{quota_id}", scope="identity:quotas", problems=(QuotaNotFound,))
class RemoveQuota(Request[None], frozen=True):
    """Lift a quota; an imposed one is lifted by who administers the mesh."""

    quota_id: UUID


class OrgQuota(Struct, frozen=True):
    """That an org has a quota, for whomever."""

    quota_id: UUID
    org_id: UUID


class OrgQuotas(Struct, frozen=True):
    """Quotas of several orgs; `next_after` where there are more."""

    quotas: tuple[OrgQuota, ...]
    next_after: UUID | None = None


@operation(scope=INTERNAL, callers=("gateway",))
class ListOrgQuotas(Request[OrgQuotas], frozen=True):
    """List which orgs have quotas of a meter, by the ids of these: for who keeps no rows of its own."""

    meter: Meter
    after: UUID | None = None


@operation(scope=INTERNAL, callers=(EVERY_SERVICE,), problems=(OverQuota,))
class ReserveUsage(Request[Reservation], frozen=True):
    """Set an amount aside from every quota that applies to a principal and its key, or from none of them.

    `reservation_id` is the caller's: the same one again, within a day, is the same reservation. `behalf_id`: for whom the
    principal acts; what bounds that one applies too.
    """

    org_id: UUID
    reservation_id: UUID
    principal_id: UUID
    meter: Meter
    amount: Amount
    key_id: UUID | None = None
    ttl_s: Annotated[int, Meta(ge=1, le=MAX_TTL_S, description="Seconds until it counts as used.")] = 600
    behalf_id: UUID | None = None


@operation(scope=INTERNAL, callers=(EVERY_SERVICE,))
class SettleUsage(Request[None], frozen=True):
    """Count what was really used of a reservation, be it more or less; the rest is free again. A second time is nothing."""

    org_id: UUID
    reservation_id: UUID
    used: Amount


@operation(scope=INTERNAL, callers=(EVERY_SERVICE,))
class ReleaseUsage(Request[None], frozen=True):
    """Give back what is no longer used of quotas that never begin anew, such as deleted bytes; once per `release_id`."""

    org_id: UUID
    release_id: UUID
    principal_id: UUID
    meter: Meter
    amount: Amount
    key_id: UUID | None = None
