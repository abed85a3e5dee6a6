"""G1. Kill -9 of any one process: no acknowledged write is lost, and what is unknown happened once or not at all."""

from __future__ import annotations

import pytest

from polis.testing import eventually
from tests.chaos.history import History, violations
from tests.chaos.processes import backends


async def kill_service(mesh, dice):
    process = mesh.processes["identity"]
    process.kill()
    process.start()
    await process.ready()


async def kill_nats(mesh, dice):
    mesh.nats.kill()
    await mesh.nats.start()


async def kill_backend(mesh, dice):
    found = await eventually(lambda: backends(mesh.postgres, "app_identity"))
    dice.choice(found).kill()


async def kill_postmaster(mesh, dice):
    port = mesh.postgres.port
    mesh.postgres.kill()
    await mesh.postgres.start(port)


@pytest.mark.parametrize("kill", [kill_service, kill_nats, kill_backend, kill_postmaster])
async def test_an_acknowledged_write_survives_the_kill_of(kill, mesh, dice, full):
    history, before = History(), set(await mesh.orgs())
    some = 600 if full else 40
    for _ in range(10 if full else 1):
        async with mesh.load(history) as load:
            await load.more(dice.randint(some, 2 * some))
            await kill(mesh, dice)
            await load.more(some)
    orgs = [name for name in await mesh.orgs() if name not in before]
    told = [name for name in await mesh.told() if name not in before]

    assert history.count("ok") >= 2 * some
    assert violations(history, orgs) == {}, history.summary()
    assert violations(history, told) == {}, history.summary()
    assert set(orgs) == set(told)
    print(history.summary())
