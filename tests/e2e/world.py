"""An org with somebody in every role, and things of its own that operations can be tried on."""

from __future__ import annotations

import json
import secrets
from typing import Any
from uuid import uuid4

import aiohttp

from polis.testing import eventually

GRAPH = {
    "nodes": {"pass": {"component": "passthrough"}},
    "inputs": {"value": {"target": "pass.in", "required": False, "default": 1}},
    "outputs": {"value": {"source": "pass.out"}},
}

NARROW = frozenset({"catalog:read", "catalog:write", "identity:keys", "identity:read"})
"""What the API key and the role of the org's own may do."""


class World:
    """Calls the gateway as one of `PRINCIPALS`; makes fresh things as the owner, so that no cell disturbs another."""

    def __init__(self, address: str, http: aiohttp.ClientSession) -> None:
        self.address = address
        self.http = http
        self.tokens: dict[str, str] = {"anonymous": ""}
        self.org_id = ""
        self.me: dict[str, str] = {}

    async def request(
        self, principal: str, method: str, path: str, body: Any = None, raw: bytes | None = None
    ) -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {self.tokens[principal]}"} if self.tokens[principal] else {}
        if raw is not None:
            headers["Content-Type"] = "application/octet-stream"
        async with self.http.request(
            method, f"{self.address}/api/v1{path}", json=body, data=raw, headers=headers
        ) as answer:
            return answer.status, await answer.text()

    async def owner(self, method: str, path: str, body: Any = None, raw: bytes | None = None) -> Any:
        status, text = await self.request("owner", method, path, body, raw)
        assert status < 300, (method, path, status, text)
        return json.loads(text) if text else None

    async def populate(self, service_secret: str) -> None:
        """Sign everybody up: the roles by invitation, an agent and a service by their credentials."""
        await self._sign_up("owner")
        await self._sign_up("other_org")
        for role in ("admin", "member", "viewer"):
            self.me[role] = await self.new_member(role, keep_as=role)
        agent = await self.agent("robot")
        self.tokens["agent"] = await self._client(agent["client_id"], agent["client_secret"])
        self.tokens["service"] = await self._client("runtime", service_secret)
        await self._narrowed()
        await self._sign_up("revoked_session")
        status, _ = await self.request("revoked_session", "POST", "/sign-out")
        assert status == 204
        for principal in ("suspended_agent", "revoked_session"):
            await eventually(lambda principal=principal: self._refused(principal))

    async def _refused(self, principal: str) -> bool:
        """Whether the gateway has heard that their session has ended; it may take seconds."""
        status, _ = await self.request(principal, "GET", "/me")
        return status == 401

    async def _narrowed(self) -> None:
        """Those whose rights are no built-in role's: a key, a member with a role of the org's own, a suspended agent."""
        scopes = sorted(NARROW)
        self.tokens["api_key"] = (await self.owner("POST", "/keys", {"name": "K", "scopes": scopes}))[
            "secret"
        ]
        role = await self.owner("POST", "/roles", {"key": "narrow", "name": "Narrow", "scopes": scopes})
        await self.new_member(role["key"], keep_as="own_role")
        agent = await self.agent("suspended")
        self.tokens["suspended_agent"] = await self._client(agent["client_id"], agent["client_secret"])
        await self.owner("POST", "/agents/suspended/suspend", {})

    async def _sign_up(self, principal: str) -> None:
        email, password = _email(), _password()
        session = await self._session({"email": email, "password": password, "name": principal})
        self.tokens[principal] = session["access_token"]
        if principal == "owner":
            self.org_id, self.me["owner"] = session["me"]["org_id"], session["me"]["principal"]["id"]

    async def _session(self, body: dict[str, str]) -> Any:
        status, text = await self.request("anonymous", "POST", "/sign-up", body)
        assert status == 200, text
        return json.loads(text)

    async def _client(self, client_id: str, client_secret: str) -> str:
        body = {"client_id": client_id, "client_secret": client_secret}
        status, text = await self.request("anonymous", "POST", "/token", body)
        assert status == 200, text
        return json.loads(text)["access_token"]

    async def account(self) -> dict[str, str]:
        """A new account in an org of its own: what signs it in, and its refresh token."""
        email, password = _email(), _password()
        session = await self._session({"email": email, "password": password, "name": "Somebody"})
        return {"email": email, "password": password, "refresh_token": session["refresh_token"]}

    async def invitation(self, role: str = "member") -> dict[str, Any]:
        return await self.owner("POST", "/invitations", {"email": _email(), "role": role})

    async def new_member(self, role: str = "member", keep_as: str = "") -> str:
        invitation = await self.invitation(role)
        session = await self._session(
            {
                "email": invitation["email"],
                "password": _password(),
                "name": role,
                "invitation": invitation["token"],
            }
        )
        if keep_as:
            self.tokens[keep_as] = session["access_token"]
        return session["me"]["principal"]["id"]

    async def agent(self, key: str = "") -> dict[str, Any]:
        return await self.owner("POST", "/agents", {"key": key or new_key(), "name": "Agent"})

    async def resource(
        self, *, published: bool = False, active: bool = False, **content: Any
    ) -> dict[str, Any]:
        body = {"type": "graph", "key": new_key(), "content": GRAPH | content}
        resource = await self.owner("POST", "/resources", body)
        if published or active:
            await self.owner("POST", f"/resources/{resource['id']}/versions", {})
        if active:
            await self.owner("PUT", f"/resources/{resource['id']}/activations/production", {"number": 1})
        return resource

    async def upload(self, *, filled: bool = False) -> dict[str, Any]:
        upload = await self.owner("POST", "/uploads", {"name": "file", "size": 3})
        if filled:
            await self.owner("PUT", f"/uploads/{upload['id']}/parts/0", raw=b"abc")
        return upload

    async def artifact(self) -> dict[str, Any]:
        return await self.owner("POST", "/artifacts?name=file", raw=b"abc")

    async def run(self) -> dict[str, Any]:
        resource = await self.resource(active=True)
        return await self.owner("POST", "/runs", {"graph": resource["key"]})


def new_key() -> str:
    """Digits alone behind its first letter: other ones spell names that a page shows, such as Ada, now and then."""
    return f"k{secrets.randbelow(10**12):012}"


def new_id() -> str:
    return str(uuid4())


def _email() -> str:
    return f"{secrets.token_hex(8)}@example.org"


def _password() -> str:
    return secrets.token_urlsafe(12)
