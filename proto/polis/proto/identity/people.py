"""People: how they sign up, in and out, and what a session is."""

from __future__ import annotations

from uuid import UUID

from msgspec import Struct

from polis.proto.contract import PUBLIC, SIGNED_IN, Event, Problem, Request, Time, event, operation, problem
from polis.proto.identity.orgs import InvitationNotFound, Membership, OrgNotFound
from polis.proto.identity.tokens import AccessToken, WrongCredentials
from polis.proto.identity.words import (
    Email,
    GivenEmail,
    GivenPassword,
    Name,
    NewName,
    Password,
    PrincipalKind,
    Token,
)
from polis.proto.registry import SERVICES


class Principal(Struct, frozen=True):
    """Somebody who acts: a user, an agent or a service. `key` is an agent's short name."""

    id: UUID
    kind: PrincipalKind
    name: Name
    key: str | None = None


class Me(Struct, frozen=True):
    """Who the caller is, in which org, and what it may do there."""

    principal: Principal
    org_id: UUID
    role: str
    scopes: tuple[str, ...]
    memberships: tuple[Membership, ...] = ()


class Session(Struct, frozen=True):
    """A signed-in session: a short-lived access token and the single-use token that renews it.

    `session_id` is what SessionEnded names; a renewal gives another one after the user's roles have changed.
    """

    session_id: UUID
    access_token: str
    refresh_token: str
    expires_in_s: int
    me: Me


@problem(status=409)
class EmailTaken(Problem, frozen=True):
    """An account with this e-mail address exists."""

    email: str


@problem(status=403)
class SignUpClosed(Problem, frozen=True):
    """New accounts need an invitation here, or cannot be made at all."""


@problem(status=403)
class ConfirmationNeeded(Problem, frozen=True):
    """A new account's address is confirmed here: AskToSignUp has a link mailed to it, whose token is the confirmation."""


@problem(status=403)
class ConfirmationRefused(Problem, frozen=True):
    """The confirmation is not for this address, or not any more."""


@problem(status=409)
class NothingToConfirm(Problem, frozen=True):
    """No mails are sent here: SignUp makes an account at once."""


@problem(status=401)
class RefreshRefused(Problem, frozen=True):
    """The refresh token is unknown, expired, or was used before.

    `raced`: another request renewed the session with it a moment ago, and the session lives on with that one's tokens.
    """

    raced: bool = False


@problem(status=401)
class SecondFactorRequired(Problem, frozen=True):
    """The password fits, and a code of the second factor has to come with this ticket, within five minutes."""

    ticket: str


@event(entity="session_id", at_once=[service.name for service in SERVICES])
class SessionEnded(Event, frozen=True):
    """Access tokens of this session id are refused from now on."""

    session_id: UUID
    until: Time


@operation(
    http="POST /sign-up/mail",
    scope=PUBLIC,
    problems=(SignUpClosed, InvitationNotFound, NothingToConfirm),
    idempotent=False,
)
class AskToSignUp(Request[None], frozen=True):
    """Mail the link that SignUp goes on with to this address, or that there is an account. The answer tells nothing of that.

    `invitation`: needed where accounts are made by invitation alone.
    """

    email: Email
    invitation: Token | None = None


@operation(
    http="POST /sign-up",
    scope=PUBLIC,
    problems=(EmailTaken, SignUpClosed, InvitationNotFound, ConfirmationNeeded, ConfirmationRefused),
)
class SignUp(Request[Session], frozen=True):
    """Create an account, with an org of its own or in the org that an invitation names.

    `confirmation`: the token of the link that AskToSignUp had mailed; needed on a mesh that sends mails.
    """

    email: Email
    password: Password
    name: NewName
    org_name: NewName | None = None
    invitation: Token | None = None
    confirmation: Token | None = None


@operation(
    http="POST /sign-in",
    scope=PUBLIC,
    problems=(WrongCredentials, SecondFactorRequired, OrgNotFound),
    idempotent=False,
)
class SignIn(Request[Session], frozen=True):
    """Open a session with e-mail and password, in one of the user's orgs."""

    email: GivenEmail
    password: GivenPassword
    org_id: UUID | None = None


@operation(http="POST /sessions/refresh", scope=PUBLIC, problems=(RefreshRefused,), idempotent=False)
class Refresh(Request[Session], frozen=True):
    """Trade a refresh token for a new one and a new access token. A used one ends the session."""

    refresh_token: Token


@operation(http="POST /sign-out", scope=SIGNED_IN, idempotent=False)
class SignOut(Request[None], frozen=True):
    """End the caller's session: its tokens are refused everywhere."""


@operation(http="GET /me", scope=SIGNED_IN)
class GetMe(Request[Me], frozen=True):
    """Read who the caller is and what it may do."""


@operation(http="POST /sessions/org", scope=SIGNED_IN, problems=(OrgNotFound,), idempotent=False)
class SwitchOrg(Request[AccessToken], frozen=True):
    """Get an access token of the same session for another org of the caller."""

    org_id: UUID
