"""A conversation that an agent hands over is asked about in people's inboxes; their answer takes it, and the audit log tells."""

from __future__ import annotations

import pytest

from polis.cli.api import Api
from polis.testing import eventually


@pytest.fixture
async def sarah(ada, address):
    """An agent of Ada's."""
    made = await ada.call("POST", "/agents", {"key": "sarah", "name": "Sarah"})
    async with Api(address) as api:
        given = {key: made[key] for key in ("client_id", "client_secret")}
        api.token = (await api.call("POST", "/token", given))["access_token"]
        yield api


async def inbox(api, run_id, state="open"):
    async def look():
        return (await api.call("GET", f"/asks?run_id={run_id}&state={state}"))["items"]

    return (await eventually(look, within_s=5))[0]


async def test_who_answers_done_takes_the_conversation_and_gives_it_back(ada, sarah):
    me = (await ada.call("GET", "/me"))["principal"]["id"]
    agent = (await sarah.call("GET", "/me"))["principal"]["id"]
    talk = await ada.call("POST", "/conversations/direct", {"principal_id": agent})
    assert talk["responsible_id"] == agent
    handing = {"to": {"kind": "role", "role": "owner"}, "reason": "A refund", "summary": "Charged twice"}

    begun = await sarah.call("POST", f"/conversations/{talk['id']}/handoffs", handing)
    ask = await inbox(ada, begun["id"])
    sheet = await ada.call("GET", f"/asks/{ask['id']}")
    await ada.call("POST", f"/asks/{ask['id']}/answer", {"decision": "done"})

    async def responsible():
        return (await ada.call("GET", f"/conversations/{talk['id']}"))["responsible_id"]

    async def taken():
        return await responsible() == me

    await eventually(taken, within_s=5)
    assert (ask["kind"], ask["title"], sheet["text"]) == ("handoff", "A refund", "Charged twice")
    returned = await ada.call("POST", f"/handoffs/{begun['id']}/return", {"note": "Refunded"})
    assert (returned["state"], await responsible()) == ("returned", agent)

    again = await sarah.call("POST", f"/conversations/{talk['id']}/handoffs", handing)
    await inbox(ada, again["id"])
    await ada.call("POST", f"/handoffs/{again['id']}/claim", {})
    # Whoever claims it by itself has nothing to answer any more.
    await inbox(ada, again["id"], "withdrawn")

    async def told():
        page = await ada.call("GET", "/audit?limit=100")
        actions = [each["action"] for each in page["items"] if each["subject"] == begun["id"]]
        return {"handoff.waiting", "handoff.claimed", "handoff.returned"} <= set(actions)

    await eventually(told, within_s=5)


async def test_who_an_agent_has_asked_is_asked_although_the_agent_is_stopped(ada, sarah, mesh):
    me = (await ada.call("GET", "/me"))["principal"]["id"]
    agent = (await sarah.call("GET", "/me"))["principal"]["id"]
    talk = await ada.call("POST", "/conversations/direct", {"principal_id": agent})
    handing = {"to": {"kind": "principal", "id": me}, "reason": "I am not sure of myself"}
    begun = await sarah.call("POST", f"/conversations/{talk['id']}/handoffs", handing)
    ask = await inbox(ada, begun["id"])

    await ada.call("POST", "/agents/sarah/suspend", {})

    async def heard():
        async with mesh.running["runtime"].kernel.database.across_orgs() as tx:
            query = "select true from runtime.stopped_agents where agent_id = $1::text::uuid"
            return await tx.value(query, agent)

    await eventually(heard, within_s=5)
    await ada.call("POST", f"/asks/{ask['id']}/answer", {"decision": "done"})

    async def taken():
        return (await ada.call("GET", f"/conversations/{talk['id']}"))["responsible_id"] == me

    await eventually(taken, within_s=5)
