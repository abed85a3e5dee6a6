"""G12. SIGTERM of one of two replicas under load: every request is answered, and the process ends in time."""

from __future__ import annotations

from tests.chaos.history import History, violations

EXIT_S = 10.0


async def test_a_rolling_restart_drops_no_request(mesh, dice, full):
    history = History()
    await mesh.start("identity", name="second")
    some = 400 if full else 60
    async with mesh.load(history) as load:
        for name in ("identity", "second") * (3 if full else 1):
            await load.more(dice.randint(some, 2 * some))
            code, seconds = await mesh.processes[name].terminate()
            assert code == 0, mesh.processes[name].last_words()
            assert seconds <= EXIT_S
            await load.more(some)
            await mesh.start("identity", name=name)
        await load.more(some)

    assert history.count("ok") == len(history.operations), history.summary()
    assert all(not o.detail for o in history.operations), history.summary()
    assert (
        violations(history, [n for n in await mesh.orgs() if n in history.keys("ok", "fail", "unknown")])
        == {}
    )
    print(history.summary())
