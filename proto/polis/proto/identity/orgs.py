"""Orgs, who is in them in which role, and invitations."""

from __future__ import annotations

from uuid import UUID

from msgspec import Struct

from polis.proto.contract import (
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
from polis.proto.identity.roles import RoleNotFound
from polis.proto.identity.words import Email, Name, NewName, Role, Scopes, Token


class Org(Struct, frozen=True):
    """A tenant: the boundary of data."""

    id: UUID
    name: Name
    created_at: Time


class Membership(Struct, frozen=True):
    """A user's place in an org. `scopes`: what the role may do, when it is one of the org's own.

    `second_factor`: whether the org wants one of those who manage it.
    """

    org: Org
    role: Role
    scopes: Scopes = ()
    second_factor: bool = False


class Member(Struct, frozen=True):
    """A user in an org."""

    principal_id: UUID
    email: Email
    name: Name
    role: Role
    since: Time


class Invitation(Struct, frozen=True):
    """An invitation into an org. Its token is shown this once."""

    id: UUID
    email: Email
    role: Role
    token: str
    expires_at: Time


class OpenInvitation(Struct, frozen=True):
    """An invitation that nobody has accepted yet; its token is not known."""

    id: UUID
    email: Email
    role: Role
    invited_by: UUID
    created_at: Time
    expires_at: Time


class OrgSettings(Struct, frozen=True):
    """An org and what its API keys may do at the most; without `key_scopes` whatever their owners may.

    `second_factor`: whether those who manage the org do it in sessions with a second factor alone.
    """

    org: Org
    key_scopes: Scopes | None = None
    second_factor: bool = False


@problem(status=404)
class InvitationNotFound(Problem, frozen=True):
    """No open invitation has this token or id."""


@problem(status=404)
class MemberNotFound(Problem, frozen=True):
    """No member of this org has this id."""

    principal_id: UUID


@problem(status=404)
class OrgNotFound(Problem, frozen=True):
    """The caller is in no org of this id."""

    org_id: UUID


@problem(status=409)
class LastOwner(Problem, frozen=True):
    """An org keeps at least one owner."""


@event(entity="org_id")
class OrgCreated(Event, frozen=True):
    """An org exists from now on."""

    org: Org
    owner_id: UUID


@event(entity="org_id", shown="identity:read")
class OrgRenamed(Event, frozen=True):
    """An org has another name from now on."""

    org: Org


@event(entity="principal_id", shown="identity:read")
class MemberJoined(Event, frozen=True):
    """A user is a member of the org from now on."""

    principal_id: UUID
    role: Role


@event(entity="principal_id", listeners=("runtime",), shown="identity:read")
class MemberRoleChanged(Event, frozen=True):
    """A member has another role from now on."""

    principal_id: UUID
    role: Role


@event(entity="principal_id", listeners=("messaging", "runtime"), shown="identity:read")
class MemberRemoved(Event, frozen=True):
    """A user is no longer a member of the org."""

    principal_id: UUID


@operation(http="POST /orgs", scope=SIGNED_IN)
class CreateOrg(Request[Org], frozen=True):
    """Create an org; the caller, a user, is its owner."""

    name: NewName


@operation(http="GET /org", scope="identity:read")
class GetOrg(Request[OrgSettings], frozen=True):
    """Read the org that the caller is in, and its settings."""


@operation(http="PATCH /org", scope="identity:access")
class RenameOrg(Request[OrgSettings], frozen=True):
    """Give the org another name."""

    name: NewName


@operation(http="PUT /org/key-scopes", scope="identity:access")
class LimitKeys(Request[OrgSettings], frozen=True):
    """Say what the org's API keys may do at the most, from within a minute on; null lifts the limit."""

    scopes: Scopes | None


@operation(http="PUT /org/second-factor", scope="identity:owners")
class RequireSecondFactor(Request[OrgSettings], frozen=True):
    """Say whether owners, admins and whoever else may do more than a member need a second factor to act in the org at all.

    Only who has one may require it. Those without one are refused from then on, with what tells them, until they sign in with one.
    """

    required: bool


@operation(http="GET /members", scope="identity:read")
class ListMembers(Request[Page[Member]], frozen=True):
    """List the members of the org."""

    after: Cursor | None = None
    limit: Limit = 50


@operation(
    http="PATCH /members/{principal_id}",
    scope="identity:members",
    problems=(MemberNotFound, LastOwner, RoleNotFound),
)
class ChangeRole(Request[Member], frozen=True):
    """Give a member another role. Neither the old nor the new one may do what the caller may not."""

    principal_id: UUID
    role: Role


@operation(
    http="DELETE /members/{principal_id}", scope="identity:members", problems=(MemberNotFound, LastOwner)
)
class RemoveMember(Request[None], frozen=True):
    """Take a member out of the org, with its keys and grants."""

    principal_id: UUID


@operation(http="DELETE /me/memberships/{org_id}", scope=SIGNED_IN, problems=(OrgNotFound, LastOwner))
class LeaveOrg(Request[None], frozen=True):
    """Leave an org of the caller's, as if taken out of it: with one's keys, grants and own secrets."""

    org_id: UUID


@operation(http="GET /invitations", scope="identity:members")
class ListInvitations(Request[Page[OpenInvitation]], frozen=True):
    """List the open invitations of the org, oldest first."""

    after: Cursor | None = None
    limit: Limit = 50


@operation(
    http="DELETE /invitations/{invitation_id}", scope="identity:members", problems=(InvitationNotFound,)
)
class WithdrawInvitation(Request[None], frozen=True):
    """Take an open invitation back."""

    invitation_id: UUID


@operation(http="POST /invitations", scope="identity:members", problems=(RoleNotFound,))
class InviteMember(Request[Invitation], frozen=True):
    """Invite somebody into the org; the token is shown this once."""

    email: Email
    role: Role = "member"


@operation(http="POST /invitations/accept", scope=SIGNED_IN, problems=(InvitationNotFound,))
class AcceptInvitation(Request[Membership], frozen=True):
    """Join the org that an invitation for the caller's e-mail address names; SwitchOrg leads there."""

    token: Token
