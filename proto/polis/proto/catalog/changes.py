"""Change sets: changes of several resources that are proposed, reviewed, made together or not at all, and undone."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from polis.proto.catalog.activations import BreaksGraphs
from polis.proto.catalog.bounds import QuotaExceeded
from polis.proto.catalog.resources import ContentInvalid, InUse, KeyTaken, ResourceNotFound
from polis.proto.catalog.signatures import PublicKey, SignatureText
from polis.proto.catalog.versions import DependencyGone, VersionNotFound
from polis.proto.catalog.words import (
    MAX_BODY,
    Changelog,
    Content,
    Digest,
    Environment,
    NewTitle,
    Note,
    ResourceKey,
    ResourceType,
    Tags,
    Title,
    VersionNumber,
    Visibility,
)
from polis.proto.contract import (
    Cursor,
    Event,
    Limit,
    Page,
    Problem,
    Request,
    Stream,
    Time,
    event,
    operation,
    problem,
)

MAX_CHANGES = 2000
"""Changes that one set may hold."""
MAX_SET_BYTES = 32 * 1024 * 1024
"""Bytes of all changes of a set as JSON: they are made in one transaction."""

SetStatus = Annotated[
    Literal["open", "approved", "rejected", "applied", "undone"],
    Meta(description="`open` until somebody else reviewed it; `undone` after it was applied."),
]


Action = Literal["put", "activate", "sign", "deactivate", "remove"]
Effect = Literal["create", "change", "delete", "none"]


class Change(Struct, frozen=True, omit_defaults=True):
    """What is to become of one resource; fields that are absent stay as they are.

    put: create it, or change its draft, what is said of it, or whether it is deprecated. activate: make an environment
    use a content (its draft when absent), or a version by number. sign: add what a publisher of the org signed to the
    version with this digest; a signature that vouches for nothing here is left out, and the plan says why.
    deactivate: none. remove: delete it.
    """

    action: Action
    type: ResourceType
    key: ResourceKey
    content: Content | None = None
    name: Title | None = None
    visibility: Visibility | None = None
    tags: Tags | None = None
    deprecated: bool | None = None
    deprecation: Note = ""
    environment: Environment | None = None
    number: VersionNumber | None = None
    changelog: Changelog = ""
    digest: Digest | None = None
    public_key: PublicKey | None = None
    signature: SignatureText | None = None


Changes = Annotated[tuple[Change, ...], Meta(max_length=200)]


class ChangeSet(Struct, frozen=True):
    """Changes under one title. `review`: whether somebody else has to approve before it can be applied."""

    id: UUID
    org_id: UUID
    title: Title
    status: SetStatus
    review: bool
    private: bool
    size: int
    created_by: UUID
    created_at: Time
    reviewed_by: UUID | None = None
    reviewed_at: Time | None = None
    review_note: Note = ""
    applied_by: UUID | None = None
    applied_at: Time | None = None
    undone_by: UUID | None = None
    undone_at: Time | None = None


class PlannedStep(Struct, frozen=True):
    """What one change does now. `fields` are those that become other ones, `differences` counts what changes in its draft.

    `reason`: why a signature by `public_key` is left out.
    """

    action: Action
    type: ResourceType
    key: ResourceKey
    effect: Effect
    environment: Environment | None = None
    previous: VersionNumber | None = None
    number: VersionNumber | None = None
    fields: tuple[str, ...] = ()
    differences: int = 0
    public_key: PublicKey | None = None
    reason: Note = ""


class Plan(Struct, frozen=True):
    """What a set would do if it were applied now; `digest` tells this plan from any other."""

    digest: Digest
    steps: tuple[PlannedStep, ...]


@problem(status=404)
class ChangeSetNotFound(Problem, frozen=True):
    """No change set that the caller may see has this id."""

    set_id: UUID


@problem(status=409)
class ChangeSetState(Problem, frozen=True):
    """The state of the change set forbids it: not reviewed yet, applied already, somebody else's."""

    reason: str


@problem(status=413)
class ChangeSetTooLarge(Problem, frozen=True):
    """A set holds a limited number of changes and bytes."""

    max_changes: int
    max_bytes: int


@problem(status=409)
class PlanOutdated(Problem, frozen=True):
    """Resources changed since this plan was made: the set would now do something else."""

    digest: Digest


@problem(status=409)
class ChangedSince(Problem, frozen=True):
    """Resources were changed after the set was applied; undo that first."""

    resources: tuple[str, ...]


@problem(status=409)
class RemovedSince(Problem, frozen=True):
    """What was active at that moment was deleted since."""

    resource_ids: tuple[UUID, ...]


@event(entity="set_id")
class ChangeSetApplied(Event, frozen=True):
    """All changes of a set were made."""

    set_id: UUID
    size: int


@event(entity="set_id")
class ChangeSetUndone(Event, frozen=True):
    """All that a set changed is as it was before."""

    set_id: UUID


@operation(
    http="POST /change-sets",
    scope="catalog:write",
    problems=(ChangeSetTooLarge, QuotaExceeded),
    max_body=MAX_BODY,
)
class CreateChangeSet(Request[ChangeSet], frozen=True):
    """Propose changes of several resources. Nothing changes before the set is applied."""

    title: NewTitle
    changes: Changes = ()
    review: bool = True


@operation(
    http="POST /change-sets/{set_id}/changes",
    scope="catalog:write",
    problems=(ChangeSetNotFound, ChangeSetState, ChangeSetTooLarge),
    max_body=MAX_BODY,
)
class AddChanges(Request[ChangeSet], frozen=True):
    """Add changes to an open set of one's own."""

    set_id: UUID
    changes: Changes


@operation(http="GET /change-sets", scope="catalog:read")
class ListChangeSets(Request[Page[ChangeSet]], frozen=True):
    """List the change sets of the org that the caller may see, newest first."""

    status: SetStatus | None = None
    after: Cursor | None = None
    limit: Limit = 50


@operation(http="GET /change-sets/{set_id}", scope="catalog:read", problems=(ChangeSetNotFound,))
class GetChangeSet(Request[ChangeSet], frozen=True):
    """Read a change set without its changes."""

    set_id: UUID


@operation(http="GET /change-sets/{set_id}/changes", scope="catalog:read", problems=(ChangeSetNotFound,))
class ListChanges(Request[Page[Change]], frozen=True):
    """List the changes of a set in their order; a page ends early when they are long."""

    set_id: UUID
    after: Cursor | None = None
    limit: Limit = 50


@operation(
    http="GET /change-sets/{set_id}/plan",
    scope="catalog:write",
    problems=(
        ChangeSetNotFound,
        ChangeSetState,
        ResourceNotFound,
        KeyTaken,
        ContentInvalid,
        BreaksGraphs,
        VersionNotFound,
        InUse,
        DependencyGone,
        QuotaExceeded,
    ),
)
class PlanChangeSet(Request[Plan], frozen=True):
    """Say what a set would do now, or be refused as its application would be. Nothing changes."""

    set_id: UUID


@operation(
    http="POST /change-sets/{set_id}/review",
    scope="catalog:write",
    problems=(ChangeSetNotFound, ChangeSetState),
    by_person=True,
)
class ReviewChangeSet(Request[ChangeSet], frozen=True):
    """Approve or reject an open set of somebody else. `size`: how many changes were looked at; refused when it holds more by now."""

    set_id: UUID
    approve: bool
    note: Note = ""
    size: Annotated[int, Meta(ge=0, le=MAX_CHANGES)] | None = None


@operation(
    http="POST /change-sets/{set_id}/apply",
    scope="catalog:write",
    problems=(
        ChangeSetNotFound,
        ChangeSetState,
        PlanOutdated,
        ResourceNotFound,
        KeyTaken,
        ContentInvalid,
        BreaksGraphs,
        VersionNotFound,
        InUse,
        DependencyGone,
        QuotaExceeded,
    ),
)
class ApplyChangeSet(Request[ChangeSet], frozen=True):
    """Make all changes of a set, or none. `plan` is the digest of the plan that was looked at."""

    set_id: UUID
    plan: Digest | None = None


@operation(
    http="POST /change-sets/{set_id}/undo",
    scope="catalog:write",
    problems=(
        ChangeSetNotFound,
        ChangeSetState,
        ChangedSince,
        ContentInvalid,
        InUse,
        DependencyGone,
        BreaksGraphs,
        QuotaExceeded,
    ),
)
class UndoChangeSet(Request[ChangeSet], frozen=True):
    """Make everything that an applied set changed as it was before, or nothing of it."""

    set_id: UUID


@operation(
    http="DELETE /change-sets/{set_id}", scope="catalog:write", problems=(ChangeSetNotFound, ChangeSetState)
)
class WithdrawChangeSet(Request[None], frozen=True):
    """Drop a set that was not applied: one's own, or any as an owner or admin."""

    set_id: UUID


@operation(
    http="POST /moments",
    scope="catalog:write",
    problems=(RemovedSince, ChangeSetTooLarge, QuotaExceeded),
)
class RestoreMoment(Request[ChangeSet], frozen=True):
    """Propose a set that leads back to a moment, for owners and admins.

    Every environment uses again what it used then, and what sets changed since is as they found it.
    """

    at: Time
    title: NewTitle = ""
    without_removed: bool = False


@operation(http="GET /export", scope="catalog:read")
class ExportResources(Request[Stream[Change]], frozen=True):
    """Read the org's resources that the caller may see as the changes that make them, by type and key, as of one moment."""
