"""Who administers the mesh: the first by a one-time link; what they may do to accounts, orgs and undelivered mails."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from polis.proto.contract import (
    PUBLIC,
    SIGNED_IN,
    Cursor,
    Limit,
    Page,
    Problem,
    Request,
    Time,
    operation,
    problem,
)
from polis.proto.identity.orgs import OrgNotFound
from polis.proto.identity.people import EmailTaken, Session
from polis.proto.identity.tokens import AccessToken
from polis.proto.identity.words import Email, GivenEmail, NewName, Password, Token
from polis.proto.names import NAME

Reason = Annotated[
    str,
    Meta(
        min_length=8,
        max_length=500,
        pattern=NAME,
        description="Why; kept in the audit log, where the org reads it.",
        examples=["Ticket 4711: runs of this org do not start"],
    ),
]


class Account(Struct, frozen=True):
    """A person's account as administrators see it."""

    id: UUID
    email: str
    name: str
    created_at: Time
    suspended_at: Time | None = None
    administrator: bool = False


class Mail(Struct, frozen=True):
    """A mail that nobody sent: this mesh has no mail server, and shows it to its administrators instead."""

    id: UUID
    to: str
    subject: str
    text: str
    created_at: Time
    expires_at: Time


@problem(status=404)
class AdministratorLinkUsed(Problem, frozen=True):
    """The one-time link is not valid, or not any more."""


@problem(status=404)
class AccountNotFound(Problem, frozen=True):
    """No account has this id."""

    account_id: UUID


@problem(status=409)
class OwnAccount(Problem, frozen=True):
    """Nobody suspends their own account."""


@problem(status=409)
class LastAdministrator(Problem, frozen=True):
    """The mesh would be left without an active administrator."""


@problem(status=409)
class MailsAreSent(Problem, frozen=True):
    """Mails are sent here, or this is no development mesh: nobody reads them here."""


@operation(
    http="POST /administrators", scope=PUBLIC, problems=(AdministratorLinkUsed, EmailTaken), idempotent=False
)
class ClaimAdministrator(Request[Session], frozen=True):
    """Create the first administrator with the one-time link of the first start."""

    token: Token
    email: Email
    password: Password
    name: NewName


@operation(
    http="POST /administrators/access",
    scope=SIGNED_IN,
    problems=(OrgNotFound,),
    idempotent=False,
    fresh=True,
)
class CrossOrg(Request[AccessToken], frozen=True):
    """Give an administrator of the mesh an access token in any org. The reason is kept in that org's audit log."""

    org_id: UUID
    reason: Reason


@operation(http="GET /accounts", scope=SIGNED_IN)
class ListAccounts(Request[Page[Account]], frozen=True):
    """List the accounts of the mesh, the newest first, or the one of an address. For its administrators."""

    email: GivenEmail | None = None
    limit: Limit = 50
    after: Cursor | None = None


@operation(
    http="POST /accounts/{account_id}/suspend",
    scope=SIGNED_IN,
    problems=(AccountNotFound, OwnAccount),
    idempotent=False,
    fresh=True,
)
class SuspendAccount(Request[Account], frozen=True):
    """Suspend an account: its sessions end and it cannot sign in. For administrators of the mesh."""

    account_id: UUID
    reason: Reason


@operation(
    http="POST /accounts/{account_id}/resume",
    scope=SIGNED_IN,
    problems=(AccountNotFound,),
    idempotent=False,
    fresh=True,
)
class ResumeAccount(Request[Account], frozen=True):
    """Let a suspended account sign in again. For administrators of the mesh."""

    account_id: UUID
    reason: Reason


@operation(
    http="PUT /administrators/{account_id}",
    scope=SIGNED_IN,
    problems=(AccountNotFound,),
    idempotent=False,
    fresh=True,
)
class AppointAdministrator(Request[Account], frozen=True):
    """Make an active account another administrator of the mesh. For those who are."""

    account_id: UUID
    reason: Reason


@operation(
    http="DELETE /administrators/{account_id}",
    scope=SIGNED_IN,
    problems=(AccountNotFound, LastAdministrator),
    idempotent=False,
    fresh=True,
)
class DismissAdministrator(Request[None], frozen=True):
    """Make an administrator of the mesh none; its sessions end. For those who are."""

    account_id: UUID


@operation(http="GET /mails", scope=SIGNED_IN, problems=(MailsAreSent,))
class ListMails(Request[Page[Mail]], frozen=True):
    """List the mails of a development mesh that has no mail server, the newest first. For its administrators."""

    limit: Limit = 50
    after: Cursor | None = None
