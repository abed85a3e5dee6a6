"""The second factor: one-time codes of an authenticator (TOTP, RFC 6238), and recovery codes for when it is lost."""

from __future__ import annotations

from msgspec import Struct

from polis.proto.contract import PUBLIC, SIGNED_IN, Problem, Request, Time, operation, problem
from polis.proto.identity.people import Session
from polis.proto.identity.sessions import Code, WrongProof
from polis.proto.identity.tokens import WrongCredentials
from polis.proto.identity.words import Token


class NewTotp(Struct, frozen=True):
    """What an authenticator is set up with: the secret in Base32, and the same as an `otpauth` URI for a QR code."""

    secret: str
    uri: str


class RecoveryCodes(Struct, frozen=True):
    """Codes that stand in for the authenticator, each once. They are shown now and never again."""

    recovery_codes: tuple[str, ...]


class SecondFactor(Struct, frozen=True):
    """Whether the caller has a second factor, since when, and how many recovery codes are left."""

    since: Time | None = None
    recovery_codes_left: int = 0


@problem(status=409)
class TotpActive(Problem, frozen=True):
    """The account has a second factor; it has to be removed before another one is set up."""


@problem(status=404)
class TotpNotFound(Problem, frozen=True):
    """The account has no second factor, or none that waits for its first code."""


@operation(http="POST /sign-in/second-factor", scope=PUBLIC, problems=(WrongCredentials,), idempotent=False)
class SignInSecondFactor(Request[Session], frozen=True):
    """Open the session that a sign-in with a password prepared, with a code or a recovery code."""

    ticket: Token
    code: Code


@operation(http="GET /me/totp", scope=SIGNED_IN)
class GetSecondFactor(Request[SecondFactor], frozen=True):
    """Read whether the caller has a second factor."""


@operation(http="POST /me/totp", scope=SIGNED_IN, problems=(TotpActive,), idempotent=False, fresh=True)
class EnrolTotp(Request[NewTotp], frozen=True):
    """Begin to set up a second factor. It counts once a code of it has come."""


@operation(
    http="POST /me/totp/confirm", scope=SIGNED_IN, problems=(TotpNotFound, WrongProof), idempotent=False
)
class ConfirmTotp(Request[RecoveryCodes], frozen=True):
    """Finish setting up a second factor with its first code. The other sessions of the caller end."""

    code: Code


@operation(http="DELETE /me/totp", scope=SIGNED_IN, problems=(TotpNotFound,), idempotent=False, fresh=True)
class RemoveTotp(Request[None], frozen=True):
    """Remove the caller's second factor with its recovery codes."""


@operation(
    http="POST /me/recovery-codes", scope=SIGNED_IN, problems=(TotpNotFound,), idempotent=False, fresh=True
)
class NewRecoveryCodes(Request[RecoveryCodes], frozen=True):
    """Replace the caller's recovery codes."""
