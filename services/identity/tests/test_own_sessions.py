"""A person's own sessions: where they are open, and ending them one by one or all."""

from __future__ import annotations

from uuid import uuid4

import pytest

from polis.proto.identity import (
    CreateOrg,
    EndOtherSessions,
    EndSession,
    GetMe,
    ListSessions,
    Refresh,
    RefreshRefused,
    SessionNotFound,
    SignIn,
)
from polis.proto.problems import Forbidden, Unauthenticated
from polis.service.call import client_headers

PASSWORD = "canary-password"


@pytest.fixture
def sign_in(anybody):
    async def sign_in(person, address="192.0.2.7", device="Firefox"):
        somewhere = anybody.using("")
        somewhere.client = client_headers(address, device)
        return await somewhere.call(SignIn(person.email, PASSWORD))

    return sign_in


async def test_they_are_listed_with_device_and_address_the_newest_first(ada, sign_in):
    await sign_in(ada)
    await sign_in(ada, "2001:db8::1", "curl/8\tö" + "x" * 300)

    listed = (await ada.call(ListSessions())).items

    assert [(s.address, s.device[:8], s.current) for s in listed] == [
        ("2001:db8::1", "curl/8??", False),
        ("192.0.2.7", "Firefox", False),
        ("", "", True),
    ]
    assert len(listed[0].device) == 200
    assert {s.proved_by for s in listed} == {("pwd",)}


async def test_the_list_comes_in_pages_and_holds_nobody_elses(ada, ben, sign_in):
    for _ in range(4):
        await sign_in(ada)
    await sign_in(ben)

    page = await ada.call(ListSessions(limit=2))
    found = list(page.items)
    while page.next_cursor is not None:
        page = await ada.call(ListSessions(limit=2, after=page.next_cursor))
        found += page.items

    assert len({s.id for s in found}) == len(found) == 5


async def test_one_is_ended_by_its_listed_id_and_its_tokens_with_it(ada, anybody, sign_in, ended, refused):
    other, third = await sign_in(ada), await sign_in(ada)
    listed = (await ada.call(ListSessions())).items

    await ada.call(EndSession(listed[1].id))

    await ended(other)
    assert await refused(anybody.call(Refresh(other.refresh_token))) == RefreshRefused()
    assert await anybody.using(third.access_token).call(GetMe())
    assert await refused(ada.call(EndSession(listed[1].id))) == SessionNotFound(session_id=listed[1].id)


async def test_one_is_ended_by_the_id_that_its_sign_in_told(ada, sign_in, ended):
    other = await sign_in(ada)

    await ada.call(EndSession(other.session_id))

    await ended(other)


async def test_nobody_ends_a_session_of_somebody_else(ada, ben, refused):
    assert await refused(ada.call(EndSession(ben.session_id))) == SessionNotFound(session_id=ben.session_id)
    assert await ben.call(GetMe())


async def test_all_others_are_ended_at_once(ada, ben, anybody, sign_in, ended, refused):
    others = [await sign_in(ada) for _ in range(3)]

    await ada.call(EndOtherSessions())

    await ended(*others)
    assert [s.current for s in (await ada.call(ListSessions())).items] == [True]
    assert await anybody.call(Refresh(ada.refresh_token))
    assert await ben.call(GetMe())


async def test_where_and_when_survive_a_renewal(ada, anybody, sign_in):
    session = await sign_in(ada)
    renewed = await anybody.call(Refresh(session.refresh_token))

    listed = (await anybody.using(renewed.access_token).call(ListSessions())).items

    assert (listed[0].device, listed[0].current) == ("Firefox", True)
    assert listed[0].opened_at < listed[0].renewed_at


async def test_a_session_ends_in_whichever_org_it_is(ada, anybody, sign_in, ended):
    org = await ada.call(CreateOrg("Other"))
    somewhere = await anybody.call(SignIn(ada.email, PASSWORD, org.id))

    await ada.call(EndOtherSessions())

    await ended(somewhere)


@pytest.mark.parametrize("request_", [ListSessions(), EndOtherSessions(), EndSession(uuid4())])
async def test_only_people_have_sessions(running, anybody, as_service, refused, request_):
    assert await refused(anybody.call(request_)) == Unauthenticated()
    assert await refused((await as_service("catalog")).call(request_)) == Forbidden(scope="session")
