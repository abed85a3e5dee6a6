"""Posts to webhooks, by the one way out that steps have: signed as Standard Webhooks, again while that may help, and not for ever."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import msgspec

from polis.proto import Refused
from polis.proto.messaging import GetNotificationHook, ReportNotificationHook
from polis.runtime.component import StepFailed
from polis.runtime.egress.client import Outgoing
from polis.runtime.egress.signing import signed
from polis.runtime.egress.urls import place, refuse_status
from polis.runtime.notifications import rows
from polis.runtime.shell.reaching import demand_hosts
from polis.service.rounds import rounds
from polis.telemetry import log

if TYPE_CHECKING:
    from uuid import UUID

    from polis.proto.messaging import NotificationHook
    from polis.runtime.shell.reaching import Reaching
    from polis.service import Kernel

TRIES = 6
"""Within a quarter of an hour."""
OUTAGES = 10
"""Tries while messaging or the vault do not answer: within eight hours."""
LOOK_S = 5.0
"""Between two looks for what is to be tried again, or what another process left behind."""
_TIMEOUT_S = 15.0
_MAX_BYTES = 64 * 1024
"""Of an answer, of which nothing but the status is heeded."""
_MOST = 500
_REDIRECTED = 300


class Posts:
    """What this process posts. wake: something new is to be posted."""

    def __init__(self, kernel: Kernel, reaching: Reaching) -> None:
        self.wake = asyncio.Event()
        self._kernel = kernel
        self._database = kernel.database
        self._reaching = reaching

    async def keep(self) -> None:
        """For as long as the process lives."""
        await rounds("posts of notifications", self._turn, every_s=LOOK_S, wake=self.wake)

    async def _turn(self) -> None:
        while taken := await rows.take(self._database):
            await asyncio.gather(*(self._try(post) for post in taken))

    async def _try(self, post: rows.Post) -> None:
        """Whatever goes wrong with one, the others are posted."""
        try:
            if await self._settled(post):
                await rows.done(self._database, post)
        except Refused as refusal:
            log.warning("notification.postponed", id=str(post.id), problem=refusal.problem.type)
            await self._give_up(post, OUTAGES)
        except Exception as error:  # noqa: BLE001 - a defect of ours: it is tried again, and seen in the log
            log.error("notification.broken", id=str(post.id), exc_info=error)
            await self._give_up(post, TRIES)

    async def _give_up(self, post: rows.Post, tries: int) -> None:
        """What could not even be tried for so long is of no use to anybody any more."""
        if post.tries < tries:
            return
        try:
            await rows.done(self._database, post)
        except Refused as refusal:
            log.warning("notification.kept", id=str(post.id), problem=refusal.problem.type)

    async def _settled(self, post: rows.Post) -> bool:
        """Whether nothing is left to do: it has arrived, nobody wants it any more, or its owner is told that it did not."""
        asked = GetNotificationHook(post.org_id, post.principal_id)
        caller, keys = self._kernel.caller, self._kernel.keys
        hook = (await caller.call(asked, token=await keys.own_token())).hook
        if hook is None:
            return True
        try:
            await self._post(post, hook)
        except StepFailed as failure:
            log.info("notification.not_posted", id=str(post.id), tries=post.tries, kind=failure.kind)
            if failure.retryable and post.tries < TRIES:
                return False
            told = ReportNotificationHook(
                post.org_id, post.principal_id, hook.url, f"{failure.kind}: {failure}"[:_MOST]
            )
            await caller.call(told, token=await keys.own_token())
        return True

    async def _post(self, post: rows.Post, hook: NotificationHook) -> None:
        """StepFailed unless it was taken."""
        body = msgspec.json.encode(
            {
                "type": "messages.unread",
                "timestamp": post.at,
                "data": {
                    "org_id": post.org_id,
                    "conversation_id": post.conversation_id,
                    "principal_id": post.principal_id,
                    "unread": post.unread,
                },
            }
        )
        # The same at every try: whoever gets it twice can tell.
        name, at = f"msg_{post.id.hex}", int(time.time())
        headers = {"content-type": "application/json"}
        headers |= signed(await self._secret(post, hook.url, hook.secret_id), name, at, body)
        outgoing = Outgoing(
            "POST", hook.url, headers, body, timeout_s=_TIMEOUT_S, max_bytes=_MAX_BYTES, max_redirects=0
        )
        incoming = await self._reaching.egress.request(outgoing)
        refuse_status(incoming.status)
        if incoming.status >= _REDIRECTED:
            raise StepFailed("http.redirect", "a webhook follows no redirects")

    async def _secret(self, post: rows.Post, url: str, secret_id: UUID) -> str:
        """Leased for whose notification it is: a secret that they may not use is none that they sign with."""
        try:
            lease = await self._reaching.secret(post.org_id, post.principal_id, secret_id)
        except Refused as refusal:
            if refusal.problem.retryable:
                raise
            raise StepFailed("webhook.secret", "its secret is gone, closed, or not for this") from None
        demand_hosts(lease.hosts, place(url))
        return lease.value
