"""Passwords: changing a known one, and replacing a forgotten one by a link that the account's address receives."""

from __future__ import annotations

from polis.proto.contract import PUBLIC, SIGNED_IN, Problem, Request, operation, problem
from polis.proto.identity.sessions import WrongProof
from polis.proto.identity.words import GivenEmail, GivenPassword, Password, Token


@problem(status=404)
class ResetLinkUsed(Problem, frozen=True):
    """The link is not valid, or not any more."""


@operation(http="POST /me/password", scope=SIGNED_IN, problems=(WrongProof,), idempotent=False)
class ChangePassword(Request[None], frozen=True):
    """Change the caller's password. Its other sessions end."""

    old_password: GivenPassword
    new_password: Password


@operation(http="POST /password/forgotten", scope=PUBLIC, idempotent=False)
class ForgotPassword(Request[None], frozen=True):
    """Send a link that resets the password to this address, if an account has it. The answer tells nothing of that."""

    email: GivenEmail


@operation(http="POST /password/reset", scope=PUBLIC, problems=(ResetLinkUsed,), idempotent=False)
class ResetPassword(Request[None], frozen=True):
    """Set a new password with the token of a link, once. Every session of the account ends."""

    token: Token
    password: Password
