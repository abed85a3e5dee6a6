"""Sessions: signing out, other orgs, and which tokens are refused everywhere."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import UTC, datetime, timedelta

import pytest

from polis.identity.people import sessions
from polis.proto.identity import (
    CreateOrg,
    GetMe,
    ListMembers,
    ListRevocations,
    OrgNotFound,
    Refresh,
    RefreshRefused,
    SignIn,
    SignOut,
    SwitchOrg,
)
from polis.proto.problems import Forbidden, Unauthenticated
from polis.service import Context
from polis.service.relay import Relay

PASSWORD = "canary-password"


def ends(token):
    """The `exp` of an access token."""
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["exp"]


async def test_signing_out_ends_this_session_and_no_other(ada, anybody, refused, ended, facts):
    other = await anybody.call(SignIn(ada.email, PASSWORD))

    await ada.call(SignOut())

    await ended(ada)
    assert await refused(anybody.call(Refresh(ada.refresh_token))) == RefreshRefused()
    assert await anybody.using(other.access_token).call(GetMe()) == ada.me
    assert [e["session_id"] for e in await facts(ada.org_id, "session_ended")] == [str(ada.session_id)]


async def test_no_token_of_a_session_is_taken_behind_the_answer_of_who_ended_it(ada, refused, monkeypatch):
    """However late the event is: it is told at once (ADR 23)."""
    publish, on = Relay._publish, asyncio.Event()

    async def stalled(*given):
        await on.wait()
        return await publish(*given)

    monkeypatch.setattr(Relay, "_publish", stalled)
    assert await ada.call(GetMe()) == ada.me
    try:
        await ada.call(SignOut())
        assert await refused(ada.call(GetMe())) == Unauthenticated()
    finally:
        on.set()


async def test_an_ended_session_is_listed_for_services_until_its_tokens_have_expired(
    ada, as_service, ended, rows
):
    catalog = await as_service("catalog")
    await ada.call(SignOut())
    await ended(ada)

    listed = (await catalog.call(ListRevocations())).revocations
    assert ada.session_id in {revocation.session_id for revocation in listed}

    await rows("update identity.revocations set until = now() where sid = $1", ada.session_id)
    listed = (await catalog.call(ListRevocations())).revocations
    assert ada.session_id not in {revocation.session_id for revocation in listed}


async def test_revocations_come_in_pages(sign_up, as_service, ended, monkeypatch):
    monkeypatch.setattr(sessions, "REVOCATIONS_PAGE", 2)
    catalog = await as_service("catalog")
    people = [await sign_up() for _ in range(3)]
    for person in people:
        await person.call(SignOut())
    await ended(*people)

    page = await catalog.call(ListRevocations())
    found = list(page.revocations)
    while page.next_after is not None:
        page = await catalog.call(ListRevocations(page.next_after))
        found += page.revocations

    ids = [revocation.session_id for revocation in found]
    assert ids == sorted(set(ids))
    assert {person.session_id for person in people} <= set(ids)


async def test_revocations_are_for_services(ada, anybody, refused):
    assert await refused(anybody.call(ListRevocations())) == Unauthenticated()
    assert await refused(ada.call(ListRevocations())) == Forbidden(scope="internal")


async def test_a_new_org_is_reached_by_switching_and_stays_chosen(ada, anybody):
    other = await ada.call(CreateOrg("Other"))

    switched = await ada.call(SwitchOrg(other.id))
    renewed = await anybody.call(Refresh(ada.refresh_token))

    me = await anybody.using(switched.access_token).call(GetMe())
    assert (me.org_id, me.role) == (other.id, "owner")
    assert renewed.me == me
    assert [m.org.id for m in me.memberships] == [ada.org_id, other.id]


async def test_a_token_for_another_org_ends_with_the_one_it_was_had_for(ada, anybody, monkeypatch):
    """Else whoever copied an access token would need no refresh token ever."""
    other = await ada.call(CreateOrg("Other"))
    monkeypatch.setattr(Context, "now", lambda _: datetime.now(UTC) + timedelta(minutes=5))

    switched = await ada.call(SwitchOrg(other.id))

    assert 0 < switched.expires_in_s <= 600
    assert ends(switched.access_token) == ends(ada.token)


async def test_a_token_opens_each_of_its_orgs_when_one_is_selected(ada, anybody, refused, ben):
    other = await ada.call(CreateOrg("Other"))
    switched = anybody.using((await ada.call(SwitchOrg(other.id))).access_token)

    first = await switched.call(ListMembers(), org=ada.org_id)
    assert [m.principal_id for m in first.items] == [ada.id]
    assert await refused(switched.call(ListMembers(), org=ben.org_id)) == Forbidden(scope="org")


async def test_nobody_switches_to_a_foreign_org(ada, ben, anybody, refused, rows):
    assert await refused(ada.call(SwitchOrg(ben.org_id))) == OrgNotFound(org_id=ben.org_id)

    stored = await rows("select current_org from identity.sessions where sid = $1", ada.session_id)
    assert stored[0]["current_org"] == ada.org_id
    assert (await anybody.call(Refresh(ada.refresh_token))).me.org_id == ada.org_id


async def test_an_ended_session_switches_nowhere(ada, anybody, refused, rows):
    """Also before the revocation has reached the service that answers."""
    await rows("delete from identity.sessions where sid = $1", ada.session_id)

    assert await refused(ada.call(SwitchOrg(ada.org_id))) == Unauthenticated()


async def test_the_token_names_a_bounded_number_of_orgs_and_always_the_current_one(ada, anybody):
    first = ada.org_id
    for number in range(30):
        await ada.call(CreateOrg(f"Org {number} " + "x" * 100))

    renewed = await anybody.call(Refresh(ada.refresh_token))

    assert len(renewed.access_token) < 4096
    me = await anybody.using(renewed.access_token).call(GetMe())
    assert (me.org_id, len(me.memberships)) == (first, 31)
    last = me.memberships[-1].org.id
    switched = await anybody.using(renewed.access_token).call(SwitchOrg(last))
    assert (await anybody.using(switched.access_token).call(GetMe())).org_id == last


@pytest.mark.parametrize("request_", [GetMe(), SignOut(), CreateOrg("x"), ListMembers()])
async def test_without_a_token_nothing_of_this_is_answered(running, anybody, refused, request_):
    assert await refused(anybody.call(request_)) == Unauthenticated()
