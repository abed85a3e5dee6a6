"""Messaging on real servers, with an identity that is played on the bus."""

from __future__ import annotations

import pytest

from polis.proto import Refused


@pytest.fixture(scope="module")
async def actors(stage):
    return await stage.actors()


@pytest.fixture(scope="module")
async def running(stage, actors):
    return await stage.start(
        "messaging",
        posts_per_second=100_000,
        conversation_posts_per_second=100_000,
        stream_pieces_per_second=100_000,
        notify_every_s=3600,
        turn_window_s=2.0,  # claims that are made together are in time, however slow the machine is
    )


@pytest.fixture
def person(actors, running):
    """Makes people: the first of an org, or a colleague of somebody."""

    def make(role="member", *, of=None, kind="user"):
        return actors.person(role, org_id=None if of is None else of.org_id, kind=kind)

    return make


@pytest.fixture(scope="session")
def refused():
    async def problem(call):
        with pytest.raises(Refused) as caught:
            await call
        return caught.value.problem

    return problem
