"""Two replicas of identity share every promise, and a busy one refuses instead of falling behind."""

from __future__ import annotations

import asyncio

import pytest

from polis.proto.identity import GetJwks, GetMe, Refresh, RefreshRefused, SignIn, SignUp
from polis.proto.problems import Overloaded

PASSWORD = "canary-password"


@pytest.fixture
async def two(serve):
    async with serve(), serve():
        yield


async def test_fifty_refreshes_at_two_replicas_give_one_successor(two, anybody, email):
    session = await anybody.call(SignUp(email(), PASSWORD, "Ada"))

    results = await asyncio.gather(
        *(anybody.call(Refresh(session.refresh_token)) for _ in range(50)), return_exceptions=True
    )

    won = [result for result in results if not isinstance(result, Exception)]
    assert len(won) == 1
    lost = {repr(result.problem) for result in results if isinstance(result, Exception)}
    assert lost == {repr(RefreshRefused(raced=True))}


async def test_what_one_replica_issues_the_other_accepts(two, anybody, email):
    session = await anybody.call(SignUp(email(), PASSWORD, "Ada"))

    answers = [await anybody.using(session.access_token).call(GetMe()) for _ in range(20)]

    assert all(answer == session.me for answer in answers)
    keys = [await anybody.call(GetJwks()) for _ in range(20)]
    assert len({answer.keys[0].kid for answer in keys}) == 1


async def test_a_burst_of_sign_ins_is_served_as_far_as_the_queue_goes_and_the_rest_refused(
    serve, anybody, email
):
    async with serve(hash_threads=1, hash_queue=3):
        address = email()
        await anybody.call(SignUp(address, PASSWORD, "Ada"))

        results = await asyncio.gather(
            *(anybody.call(SignIn(address, PASSWORD)) for _ in range(30)), return_exceptions=True
        )

        problems = [result.problem for result in results if isinstance(result, Exception)]
        assert 4 <= len(results) - len(problems) < 30
        assert {type(problem) for problem in problems} == {Overloaded}
        assert await anybody.call(SignIn(address, PASSWORD))


async def test_a_sign_in_beyond_the_sessions_of_an_account_ends_the_oldest(
    serve, anybody, email, refused, ended
):
    async with serve(sessions_per_account=3):
        address = email()
        first = await anybody.call(SignUp(address, PASSWORD, "Ada"))
        others = [await anybody.call(SignIn(address, PASSWORD)) for _ in range(2)]
        first = await anybody.call(Refresh(first.refresh_token))

        await anybody.call(SignIn(address, PASSWORD))

        await ended(others[0])
        assert await refused(anybody.call(Refresh(others[0].refresh_token))) == RefreshRefused()
        for kept in (first, others[1]):
            assert await anybody.call(Refresh(kept.refresh_token))
