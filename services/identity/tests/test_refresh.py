"""Refresh tokens: one successor each, and a copied one ends the session."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from polis.proto.identity import GetMe, Refresh, RefreshRefused, SignOut

AGE = (
    "update identity.refresh_tokens set used_at = used_at - $2::interval where session_id = "
    "(select id from identity.sessions where sid = $1)"
)


@pytest.fixture
def later(rows):
    """Let the grace after the use of a session's tokens pass."""

    async def later(session, seconds=6):
        await rows(AGE, session.session_id, timedelta(seconds=seconds))

    return later


async def test_a_refresh_renews_both_tokens_in_the_same_session(ada, anybody):
    renewed = await anybody.call(Refresh(ada.refresh_token))

    assert (renewed.me, renewed.session_id) == (ada.me, ada.session_id)
    assert renewed.refresh_token != ada.refresh_token
    assert renewed.access_token != ada.token
    assert await anybody.using(renewed.access_token).call(GetMe()) == ada.me


async def test_fifty_concurrent_refreshes_give_one_successor_and_the_session_lives(ada, anybody, rows):
    results = await asyncio.gather(
        *(anybody.call(Refresh(ada.refresh_token)) for _ in range(50)), return_exceptions=True
    )

    won = [result for result in results if not isinstance(result, Exception)]
    assert len(won) == 1
    lost = [result.problem for result in results if isinstance(result, Exception)]
    assert lost == [RefreshRefused(raced=True)] * 49
    tokens = await rows(
        "select used_at from identity.refresh_tokens t join identity.sessions s on s.id = t.session_id "
        "where s.sid = $1",
        ada.session_id,
    )
    assert sorted(token["used_at"] is None for token in tokens) == [False, True]
    assert await anybody.call(Refresh(won[0].refresh_token))


async def test_a_chain_of_refreshes_leads_on(ada, anybody):
    session = ada.session
    for _ in range(5):
        session = await anybody.call(Refresh(session.refresh_token))

    assert await anybody.using(session.access_token).call(GetMe())


async def test_reuse_ends_the_family_and_its_access_tokens(ada, anybody, refused, facts, later, ended):
    renewed = await anybody.call(Refresh(ada.refresh_token))
    await later(renewed)

    assert await refused(anybody.call(Refresh(ada.refresh_token))) == RefreshRefused()

    assert await refused(anybody.call(Refresh(renewed.refresh_token))) == RefreshRefused()
    ends = await facts(ada.org_id, "session_ended")
    assert [event["session_id"] for event in ends] == [str(ada.session_id)]
    await ended(ada, renewed)


async def test_reuse_of_an_old_ancestor_ends_the_family_too(ada, anybody, refused, later, ended):
    session = ada.session
    for _ in range(3):
        session = await anybody.call(Refresh(session.refresh_token))
    await later(session)

    await refused(anybody.call(Refresh(ada.refresh_token)))

    assert await refused(anybody.call(Refresh(session.refresh_token))) == RefreshRefused()
    await ended(session)


async def test_reuse_ends_no_other_session_of_the_user(ada, anybody, refused, later):
    from polis.proto.identity import SignIn

    other = await anybody.call(SignIn(ada.email, "canary-password"))
    renewed = await anybody.call(Refresh(ada.refresh_token))
    await later(renewed)

    await refused(anybody.call(Refresh(ada.refresh_token)))

    assert await anybody.call(Refresh(other.refresh_token))


@pytest.mark.parametrize("token", ["x", "prt_", "prt_" + "A" * 43, "x" * 4096, "prt_\u0000", "prt_ü"])
async def test_an_unknown_token_is_refused(running, anybody, refused, token):
    assert await refused(anybody.call(Refresh(token))) == RefreshRefused()


async def test_an_access_token_or_a_token_in_part_is_no_refresh_token(ada, anybody, refused):
    for token in (ada.token, ada.refresh_token[:-1], ada.refresh_token + "A", ada.refresh_token.swapcase()):
        assert await refused(anybody.call(Refresh(token))) == RefreshRefused()

    assert await anybody.call(Refresh(ada.refresh_token))


@pytest.mark.parametrize("table", ["refresh_tokens", "sessions"])
async def test_an_expired_token_or_session_is_refused(ada, anybody, rows, refused, table):
    condition = "session_id" if table == "refresh_tokens" else "id"
    await rows(
        f"update identity.{table} set expires_at = now() where {condition} = "
        "(select id from identity.sessions where sid = $1)",
        ada.session_id,
    )

    assert await refused(anybody.call(Refresh(ada.refresh_token))) == RefreshRefused()


async def test_a_suspended_account_renews_nothing(ada, anybody, rows, refused):
    await rows("update identity.accounts set suspended_at = now() where id = $1", ada.id)

    assert await refused(anybody.call(Refresh(ada.refresh_token))) == RefreshRefused()


async def test_the_database_holds_no_second_unused_token_of_a_session(ada, rows):
    import asyncpg

    with pytest.raises(asyncpg.UniqueViolationError):
        await rows(
            "insert into identity.refresh_tokens (hash, session_id, expires_at) "
            "select sha256('x'), id, now() from identity.sessions where sid = $1",
            ada.session_id,
        )


async def test_signing_out_while_refreshing_never_ends_in_a_live_session(sign_up, anybody, rows):
    for _ in range(5):
        ada = await sign_up("Ada")

        await asyncio.gather(
            ada.call(SignOut()), anybody.call(Refresh(ada.refresh_token)), return_exceptions=True
        )

        assert await rows("select from identity.sessions where account_id = $1", ada.id) == []
