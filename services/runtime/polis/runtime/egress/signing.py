"""Signatures of Standard Webhooks (version 1)."""

from __future__ import annotations

import base64
import hmac

from polis.runtime.component import StepFailed

_PREFIX = "whsec_"


def signed(secret: str, name: str, at: int, body: bytes) -> dict[str, str]:
    """The headers of a message."""
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except ValueError:  # also for letters that are none of ASCII
        key = b""
    if not key:
        raise StepFailed("webhook.secret", "a secret of webhooks is `whsec_` and Base64") from None
    signature = hmac.digest(key, f"{name}.{at}.".encode() + body, "sha256")
    return {
        "webhook-id": name,
        "webhook-timestamp": str(at),
        "webhook-signature": "v1," + base64.b64encode(signature).decode(),
    }
