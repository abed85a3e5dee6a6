"""Standard Webhooks signatures (standardwebhooks.com, specification 1.0): HMAC-SHA256 over id, timestamp and body. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

from polis.proto.runtime import HOOK_TOLERANCE_S

PREFIX = "whsec_"
MAX_ID = 200
_VERSION = "v1"
_MAX_SIGNATURES = 16
"""A sender that rotates its secret sends a few."""
_FORM = "0123456789"


class Forged(Exception):
    """The message is not vouched for. The text is for the owner of the hook, never for the sender."""


def key_of(secret: str) -> bytes:
    """The key of a secret: base64 behind `whsec_`; any other text is taken as it is. ValueError."""
    if not secret.startswith(PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("what follows whsec_ is not base64") from error


def sign(key: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    """The signature of a message, as its header carries it."""
    signed = hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256)
    return f"{_VERSION},{base64.b64encode(signed).decode()}"


def verify(key: bytes, *, message_id: str, timestamp: str, signature: str, body: bytes, now: float) -> None:
    """Raise Forged unless a signature holds and the message is of now. The time is looked at last: it is in the signature."""
    if not 0 < len(message_id) <= MAX_ID or not message_id.isascii() or "." in message_id:
        raise Forged("webhook-id is missing, too long, or not one")
    if not timestamp or len(timestamp) > len("9999999999") or timestamp.strip(_FORM):
        raise Forged("webhook-timestamp is missing or no number of seconds")
    expected = sign(key, message_id, timestamp, body).encode()
    given = signature.split(" ")[:_MAX_SIGNATURES]
    if not any(hmac.compare_digest(expected, one.encode()) for one in given):
        raise Forged("no signature holds")
    if abs(now - int(timestamp)) > HOOK_TOLERANCE_S:
        raise Forged(f"webhook-timestamp is more than {HOOK_TOLERANCE_S} s away")
