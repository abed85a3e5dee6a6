"""The component `webhook.send`: Standard Webhooks, signed by a secret of the org."""

from __future__ import annotations

import hashlib
import time

import msgspec
from msgspec import Struct

from polis.runtime.component import Inputs, Step, StepFailed, component
from polis.runtime.egress.client import Outgoing
from polis.runtime.egress.signing import signed
from polis.runtime.egress.urls import place, refuse_status

MAX_BODY = 256 * 1024


class Config(Struct, frozen=True):
    """Where messages go, and what signs them."""

    url: str
    secret_id: str
    type: str = "message"
    timeout_s: float = 15.0


@component("webhook.send")
async def webhook_send(step: Step, inputs: Inputs) -> None:
    config = msgspec.convert(step.config, Config)
    body = msgspec.json.encode({"type": config.type, "data": inputs["in"]})
    if len(body) > MAX_BODY:
        raise StepFailed("webhook.too_large", f"a message of {len(body):,} bytes; {MAX_BODY:,} are the most")
    secret = await step.reach.secret(config.secret_id, to=place(config.url))
    # The same at every attempt: whoever gets it twice can tell.
    name = "msg_" + hashlib.sha256(step.key.encode()).hexdigest()[:32]
    headers = {"content-type": "application/json", **signed(secret, name, int(time.time()), body)}
    outgoing = Outgoing("POST", config.url, headers, body, timeout_s=config.timeout_s, max_redirects=0)
    incoming = await step.reach.egress.request(outgoing)
    refuse_status(incoming.status)
    if incoming.status >= 300:
        raise StepFailed("http.redirect", "a webhook follows no redirects")
    step.emit("out", {"id": name, "status": incoming.status})
