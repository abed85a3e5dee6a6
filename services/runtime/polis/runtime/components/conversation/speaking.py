"""Saying something piece by piece, as its readers see it being said; whoever may control the conversation is obeyed at once.

What is said is the same at every attempt: after a crash it goes on behind what messaging has taken.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import UUID

from polis.proto import Refused
from polis.proto.messaging import (
    MAX_PIECE,
    MAX_TEXT,
    BeginStream,
    ContinueStream,
    EndStream,
    MessagePart,
    StreamIncomplete,
    StreamPaused,
    StreamStatus,
)
from polis.runtime.component import StepFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from polis.runtime.reach import Reach

TOGETHER_S = 0.05
"""What is said within this goes out as one piece."""
ANSWER_S = 5.0
"""What has not answered by then has died with the call in its hands: it is made again while the stream is not yet lost."""
_ASK_S = 0.1
_ASK_AT_MOST_S = 1.0
"""How often a paused stream is asked whether it goes on, at first and in the end."""


class Speaking:
    """A stream that is open, of one who speaks in it."""

    def __init__(self, reach: Reach, status: StreamStatus) -> None:
        self._reach = reach
        self._text = ""
        self._begun_at = status.at
        self._sent_at = 0.0
        self.status = status

    @classmethod
    async def begin(
        cls, reach: Reach, conversation_id: UUID, client_id: str, run_id: UUID, **place: int | None
    ) -> Speaking:
        """Begin, or go on with what was begun by this name."""
        request = BeginStream(conversation_id, client_id, run_id=run_id, **place)
        return cls(reach, await reach.call(request, key="", timeout_s=ANSWER_S))

    @property
    def goes_on(self) -> bool:
        """Whether anybody is to hear more of it."""
        return self.status.state in ("open", "paused")

    @property
    def repeats(self) -> bool:
        """Whether all that was said so far was said by an attempt before."""
        return len(self._text) <= self._begun_at

    @property
    def _behind(self) -> bool:
        return len(self._text) <= self.status.at

    async def say(self, text: str) -> None:
        """Say on. It leaves with what was said a moment before. StepFailed when it is too long for a message."""
        self._text += text
        if len(self._text) > MAX_TEXT:
            raise StepFailed("conversation.too_long", f"{MAX_TEXT:,} characters are the most of a message")
        now = asyncio.get_running_loop().time()
        if now - self._sent_at >= TOGETHER_S or len(self._text) - self.status.at >= MAX_PIECE:
            self._sent_at = now
            await self.flush()

    async def flush(self) -> None:
        """Return when all that was said was taken, or nobody is to hear it any more."""
        while self.goes_on and not self._behind:
            at = self.status.at
            await self._tell(self._text[at : at + MAX_PIECE])
            if self.status.state == "paused":
                await self._wait()

    async def end(
        self, parts: tuple[MessagePart, ...] = (), attributes: Mapping[str, object] | None = None
    ) -> StreamStatus:
        """Let it be a message; what has become of it. A pause is waited for."""
        request = EndStream(self.status.stream_id, len(self._text), parts, dict(attributes or {}))
        while self.goes_on:
            await self.flush()
            if self.goes_on:
                await self._end(request)
        return self.status

    async def _end(self, request: EndStream) -> None:
        try:
            self.status = await self._call(request)
        except StepFailed as failure:
            cause = failure.__cause__
            problem = cause.problem if isinstance(cause, Refused) else None
            if not isinstance(problem, (StreamPaused, StreamIncomplete)):
                raise
            await self._tell("")
            if self.status.state == "paused":
                await self._wait()

    async def _wait(self) -> None:
        """Return when the stream goes on, or has ended."""
        wait_s = _ASK_S
        while self.status.state == "paused":
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 1.5, _ASK_AT_MOST_S, self.status.lease_s / 3)
            await self._tell("")

    async def _tell(self, piece: str) -> None:
        request = ContinueStream(self.status.stream_id, self.status.at, piece)
        self.status = await self._call(request)

    async def _call(self, request: ContinueStream | EndStream) -> StreamStatus:
        return await self._reach.call(request, key="", timeout_s=min(ANSWER_S, self.status.lease_s / 3))
