"""G19. One Idempotency-Key fifty times at once, with another body, and again after kill -9: one effect, one answer."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import asyncpg

from polis.proto import Refused, identity
from polis.proto.problems import DeadlineExceeded, InFlight, KeyReused, Unavailable
from polis.testing import eventually

AT_ONCE = 50


async def outcome(mesh, name, key, timeout_s=5.0):
    try:
        return await mesh.call(identity.CreateOrg(name=name), key=key, timeout_s=timeout_s)
    except Refused as refusal:
        return refusal.problem


async def count(mesh, name):
    [row] = await mesh.rows("select count(*) as n from identity.orgs where name = $1", name)
    return row["n"]


async def answered(mesh, name, key):
    """The answer to a key that may be in flight, or whose process is starting."""

    async def look():
        found = await outcome(mesh, name, key)
        return None if isinstance(found, InFlight | Unavailable | DeadlineExceeded) else found

    return await eventually(look, within_s=20)


async def test_fifty_at_once_are_one_effect_and_one_answer_also_after_a_kill(mesh, full):
    for _ in range(20 if full else 2):
        name, key = f"once {uuid4()}", uuid4().hex
        found = await asyncio.gather(*(outcome(mesh, name, key) for _ in range(AT_ONCE)))
        answers = [o for o in found if isinstance(o, identity.Org)]
        assert all(isinstance(o, identity.Org | InFlight) for o in found)
        first = await answered(mesh, name, key)
        assert all(answer == first for answer in answers)

        assert isinstance(await outcome(mesh, f"{name}, another body", key), KeyReused)
        process = mesh.processes["identity"]
        process.kill()
        process.start()
        assert await answered(mesh, name, key) == first
        assert isinstance(await answered(mesh, f"{name}, another body", key), KeyReused)
        assert await count(mesh, name) == 1
        assert await count(mesh, f"{name}, another body") == 0


async def test_a_key_in_flight_is_refused_and_a_kill_in_mid_flight_leaves_one_effect(mesh):
    name, key = f"held {uuid4()}", uuid4().hex
    process = mesh.processes["identity"]
    await process.ready()
    blocker = await asyncpg.connect(mesh.stage.database.admin_url)
    async with blocker.transaction():
        await blocker.execute("lock table identity.orgs in share row exclusive mode")
        first = asyncio.create_task(outcome(mesh, name, key, timeout_s=30.0))
        await eventually(lambda: waits_for_the_lock(mesh))
        assert isinstance(await outcome(mesh, name, key), InFlight)
        process.kill()
        process.start()
    await blocker.close()
    first.cancel()  # nobody answers it any more

    answer = await answered(mesh, name, key)

    assert isinstance(answer, identity.Org)
    assert await outcome(mesh, name, key) == answer
    assert await count(mesh, name) == 1


async def waits_for_the_lock(mesh):
    return await mesh.rows(
        "select 1 from pg_stat_activity where wait_event_type = 'Lock' and usename = 'app_identity'"
    )
