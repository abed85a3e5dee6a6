"""Random secrets that are shown once and kept as hashes: refresh tokens, invitations, agents' secrets, the one-time link.

A plain SHA-256 is enough for them: each has 256 random bits, so there is nothing to guess that a slow hash would protect.
Their prefixes let scanners of repositories and logs know them on sight.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Literal

from msgspec import Struct

Kind = Literal["prt", "pin", "pas", "pal", "ppr", "pst"]
"""Refresh token, invitation, agent's secret, administrator's link, password reset, sign-in's ticket."""
_RANDOM_BYTES = 32


class Opaque(Struct, frozen=True):
    """A new secret and what is stored of it."""

    secret: str
    hash: bytes

    def __repr__(self) -> str:
        return "Opaque(hidden)"


def mint(kind: Kind) -> Opaque:
    secret = f"{kind}_{secrets.token_urlsafe(_RANDOM_BYTES)}"
    return Opaque(secret, digest(secret))


def digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
