"""The client of the gateway as the command uses it: JSON in, JSON out, a problem raised as `Problem`."""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from polis.client import Connection, Problem
from polis.client.connection import LONG_TIMEOUT_S
from polis.client.frames import frames

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

__all__ = ["Api", "Problem"]


class Api(Connection):
    """One signed-in (or anonymous) client that speaks of methods and paths. `address` is the gateway's origin."""

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    async def call(self, method: str, path: str, body: object = None) -> Any:
        return _content(await self.request(method, path, body))

    async def sign_up(self, *, name: str = "Demo") -> tuple[str, str]:
        """Make an account with an org of its own, and act as it; its e-mail address and password."""
        email, password = f"{name.lower()}-{secrets.token_hex(4)}@example.org", secrets.token_urlsafe(12)
        session = await self.call("POST", "/sign-up", {"email": email, "password": password, "name": name})
        self.token = session["access_token"]
        return email, password

    async def upload(self, file: Path, *, name: str, media_type: str) -> Any:
        """Store a file as an artifact; it is streamed from the disk."""
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str((await asyncio.to_thread(file.stat)).st_size),
        }
        path = f"/artifacts?name={quote(name, safe='')}&media_type={quote(media_type, safe='')}"
        with file.open("rb") as content:
            return _content(
                await self.request("POST", path, data=content, headers=headers, timeout_s=LONG_TIMEOUT_S)
            )

    def follow(self, topic: str, *, after: int | None = None) -> AsyncIterator[dict[str, Any]]:
        """The frames of a topic until its end; a cut is resumed behind the last sequence seen."""
        return frames(self, topic, after=after)


def _content(body: bytes) -> Any:
    return json.loads(body) if body else None
