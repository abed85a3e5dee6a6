"""Posts to webhooks: whether they are vouched for, what they say, and the run that they start. Strangers learn nothing."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import msgspec

from polis.db import new_id
from polis.proto import Refused
from polis.proto.identity import LeaseSecret, SecretClosed, SecretNotFound, SecretUnreadable
from polis.proto.problems import Malformed
from polis.proto.runtime import HookRefused, HookUnknown
from polis.proto.trigger import Webhook
from polis.runtime.triggers import rows
from polis.runtime.triggers.marks import Occasion, not_fired, why_not
from polis.runtime.triggers.signatures import MAX_ID, Forged, key_of, verify

if TYPE_CHECKING:
    from uuid import UUID

    from polis.proto.runtime import ReceiveHook
    from polis.runtime.triggers.firing import Firing
    from polis.runtime.triggers.rows import Hook
    from polis.service import Kernel

_TOLD_EVERY_S = 60.0
"""A hook says of forged posts once in a while: whoever forges them decides how many there are."""
_TOLD = 1000
_MAX_FIELDS = 1000
_MAX_DEPTH = 64
"""Levels of a body of JSON, as of every other body that the gateway takes."""
_LEASES = 256


class Hooks:
    """Takes posts."""

    def __init__(self, kernel: Kernel, firing: Firing) -> None:
        self._kernel = kernel
        self._firing = firing
        self._told: OrderedDict[UUID, float] = OrderedDict()
        self._keys: OrderedDict[tuple[UUID, UUID], tuple[float, bytes]] = OrderedDict()

    async def receive(self, post: ReceiveHook) -> tuple[UUID, UUID, int | None]:
        """Org and run of a post, and for how long its answer may wait. Refused(HookUnknown | HookRefused | Malformed)."""
        async with self._kernel.database.across_orgs() as tx:
            hook = await rows.hook(tx, post.trigger_id)
        if hook is None:
            raise Refused(HookUnknown())
        on = hook.on.on
        if not isinstance(on, Webhook):
            raise Refused(HookUnknown())
        try:
            await self._vouched(post, hook, on)
        except Forged as forged:
            await self._say(hook, str(forged))
            raise Refused(HookUnknown()) from None
        occasion = Occasion(post.message_id or new_id().hex, content(post.body, post.media_type))
        run_id = await self._firing.fire(hook, occasion)
        if run_id is None:
            raise Refused(HookRefused())
        return hook.org_id, run_id, on.wait_s

    async def _vouched(self, post: ReceiveHook, hook: Hook, on: Webhook) -> None:
        if on.secret is not None:
            verify(
                await self._key(hook, on.secret),
                message_id=post.message_id,
                timestamp=post.timestamp,
                signature=post.signature,
                body=post.body,
                now=time.time(),
            )
            return
        given = hash_of(post.token)
        if not any(hmac.compare_digest(given, token) for token in hook.tokens):
            raise Forged("X-Hook-Token is not the hook's" if hook.tokens else "the hook has no token yet")
        if len(post.message_id) > MAX_ID:
            raise Forged("webhook-id is too long")

    async def _key(self, hook: Hook, secret_id: UUID) -> bytes:
        """The key of a secret of the org, for as long as the lease of it lasts."""
        expires, key = self._keys.get((hook.org_id, secret_id), (0.0, b""))
        if time.time() < expires:
            return key
        request = LeaseSecret(hook.org_id, secret_id, hook.activated_by)
        try:
            lease = await self._kernel.caller.call(request, token=await self._kernel.keys.own_token())
            key = key_of(lease.value)
        except ValueError as error:
            raise Forged(f"the secret is no key: {error}") from None
        except Refused as refusal:
            if isinstance(refusal.problem, SecretNotFound | SecretClosed | SecretUnreadable):
                raise Forged(f"the secret cannot be had: {refusal}") from None
            raise
        self._keys[hook.org_id, secret_id] = (lease.until.timestamp(), key)
        if len(self._keys) > _LEASES:
            self._keys.popitem(last=False)
        return key

    async def _say(self, hook: Hook, why: str) -> None:
        """Let the hook's owner know that posts are not taken, now and then."""
        if time.monotonic() - self._told.get(hook.id, -_TOLD_EVERY_S) < _TOLD_EVERY_S:
            return
        self._told[hook.id] = time.monotonic()
        self._told.move_to_end(hook.id)
        if len(self._told) > _TOLD:
            self._told.popitem(last=False)
        async with self._kernel.database.transaction([hook.org_id]) as tx:
            fault = why_not("hook.forged", why, datetime.now(UTC))
            await not_fired(tx, hook, Occasion(""), fault, refused=True)


def content(body: bytes, media_type: str) -> object:
    """What a graph is given of a body: JSON as it is, a form as an object, text as text, anything else in base64."""
    kind = media_type.partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        return _form(body)
    if kind.endswith(("/json", "+json")) or not kind:
        try:
            return _shallow(msgspec.json.decode(body)) if body else None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            if kind:
                raise Refused(Malformed(reason=f"the body is no JSON: {error}")) from None
    try:
        return body.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(body).decode()}


def _shallow(value: object) -> object:
    """The value. Refused(Malformed) for one that is nested too deeply."""
    level = [value]
    for _ in range(_MAX_DEPTH + 1):
        inner = [
            each.values() if isinstance(each, dict) else each
            for each in level
            if isinstance(each, dict | list)
        ]
        level = [item for items in inner for item in items]
        if not inner:
            return value
    raise Refused(Malformed(reason=f"the body is nested more than {_MAX_DEPTH} deep"))


def _form(body: bytes) -> dict[str, str]:
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS))
    except ValueError as error:
        raise Refused(Malformed(reason=f"form: {error}")) from None


def mint() -> tuple[str, bytes]:
    """A new token, and the hash that is kept of it."""
    token = f"pht_{secrets.token_urlsafe(32)}"
    return token, hash_of(token)


def hash_of(token: str) -> bytes:
    """It is long and random, so a plain hash is enough."""
    return hashlib.sha256(token.encode()).digest()
