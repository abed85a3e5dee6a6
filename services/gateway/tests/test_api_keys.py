"""API keys through the gateway, whose kept tokens never outlive what identity says of a key."""

from __future__ import annotations

import pytest

from polis.cli.api import Api, Problem
from polis.testing import eventually


@pytest.fixture(scope="module")
async def address(stage):
    await stage.start("identity")
    running = await stage.start("gateway")
    return f"http://127.0.0.1:{running.port}"


async def test_a_key_goes_on_with_what_its_owner_may_still_do(address):
    async with Api(address) as ada, Api(address) as cem, Api(address) as program:
        await ada.sign_up()
        invited = await ada.call("POST", "/invitations", {"email": "cem@example.org", "role": "member"})
        joined = {"email": invited["email"], "password": "long enough", "name": "Cem"}
        session = await cem.call("POST", "/sign-up", {**joined, "invitation": invited["token"]})
        cem.token = session["access_token"]
        scopes = ["catalog:read", "catalog:write", "identity:read"]
        program.token = (await cem.call("POST", "/keys", {"name": "ci", "scopes": scopes}))["secret"]
        assert (await program.call("GET", "/me"))["scopes"] == scopes

        await ada.call("PATCH", f"/members/{session['me']['principal']['id']}", {"role": "viewer"})

        async def scopes() -> list[str] | None:
            """None while it is refused: for a moment a service may have heard of the change before the gateway."""
            try:
                return (await program.call("GET", "/me"))["scopes"]
            except Problem:
                return None

        async def narrowed() -> bool:
            return await scopes() == ["catalog:read", "identity:read"]

        await eventually(narrowed)
        await ada.call("DELETE", f"/members/{session['me']['principal']['id']}")

        async def refused() -> bool:
            return await scopes() is None

        await eventually(refused)
