"""The mesh's signing key is replaced while it is used: tokens of the old one and of the new one open everything meanwhile."""

from __future__ import annotations

import asyncio
import base64
import json

import asyncpg
import pytest

from polis.cli.api import Api
from polis.proto.registry import SERVICES

RELOAD_S = 0.2
PATHS = ("/me", "/resources", "/runs")
"""Answered by identity, catalog and runtime."""


@pytest.fixture(scope="module")
async def mesh(stage):
    await stage.start("identity", key_reload_s=RELOAD_S)
    for service in SERVICES[1:]:
        await stage.start(service.name)
    return stage


class Holder:
    """Renews its token again and again and uses each one, old and new, everywhere."""

    def __init__(self, api: Api, session: dict[str, str]) -> None:
        self._api, self._session = api, session
        self.answers: list[tuple[str, int]] = []

    def since_new(self) -> int:
        """Answers since a second key signs."""
        kids = [kid for kid, _ in self.answers]
        return len(kids) - next((n for n, kid in enumerate(kids) if kid != kids[0]), len(kids))

    async def go_on(self, *, until) -> None:
        first = self._session["access_token"]
        while not until():
            self._session = await self._api.call(
                "POST", "/sessions/refresh", {"refresh_token": self._session["refresh_token"]}
            )
            for token in (first, self._session["access_token"]):
                await asyncio.gather(*(self._use(token, path) for path in PATHS))

    async def _use(self, token: str, path: str) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        async with self._api._http.get(f"{self._api.address}/api/v1{path}", headers=headers) as answer:
            self.answers.append((kid_of(token), answer.status))


async def test_no_request_fails_while_the_signing_key_is_replaced(mesh, api):
    account = {"email": "ada@example.org", "password": "a password of ada", "name": "Ada"}
    holder = Holder(api, await api.call("POST", "/sign-up", account))
    admin = await asyncpg.connect(mesh.database.admin_url)
    await admin.execute("update identity.signing_keys set created_at = created_at - interval '1 year'")
    await admin.close()

    # A while longer than until the new key signs.
    async with asyncio.timeout(30):
        await holder.go_on(until=lambda: holder.since_new() > 50)

    assert {status for _, status in holder.answers} == {200}
    assert len((await api.call("GET", "/jwks"))["keys"]) == 2


def kid_of(token: str) -> str:
    header = token.partition(".")[0]
    return json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))["kid"]
