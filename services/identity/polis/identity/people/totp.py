"""Time-based one-time codes (RFC 6238: HMAC-SHA-1, 30 s, six digits), as every authenticator makes them."""

from __future__ import annotations

import base64
import hmac
import secrets
from urllib.parse import quote, urlencode

STEP_S = 30
DIGITS = 6
_SECRET_BYTES = 20
_AROUND = (0, -1, 1)
"""Steps that are tried: this one, and its neighbours for clocks that differ and people who type slowly."""
_ISSUER = "Polis"


def new_secret() -> bytes:
    return secrets.token_bytes(_SECRET_BYTES)


def code_of(secret: bytes, step: int) -> str:
    """The code of one time step (RFC 4226, 5.3)."""
    digest = hmac.digest(secret, step.to_bytes(8, "big"), "sha1")
    offset = digest[-1] & 0x0F
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFF_FFFF
    return f"{number % 10**DIGITS:0{DIGITS}}"


def step_of(secret: bytes, code: str, now: float) -> int | None:
    """The time step around `now` (unix seconds) whose code this is."""
    step = int(now) // STEP_S
    fitting = [
        s
        for s in (step + n for n in _AROUND)
        if hmac.compare_digest(code_of(secret, s).encode(), code.encode())
    ]
    return fitting[0] if fitting else None


def base32(secret: bytes) -> str:
    return base64.b32encode(secret).decode().rstrip("=")


def uri(secret: bytes, email: str) -> str:
    """What a QR code for an authenticator holds."""
    facts = {
        "secret": base32(secret),
        "issuer": _ISSUER,
        "algorithm": "SHA1",
        "digits": DIGITS,
        "period": STEP_S,
    }
    return f"otpauth://totp/{_ISSUER}:{quote(email, safe='')}?{urlencode(facts)}"
