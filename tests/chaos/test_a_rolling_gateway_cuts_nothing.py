"""G12 for the gateways themselves. SIGTERM of one of two under load: no request fails, no answer is cut, and each client
is told where it stands: `Connection: close` with what was in hand, 1012 on a live socket."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import aiohttp

from polis.testing import eventually
from tests.chaos.history import violations
from tests.chaos.visitors import LONG_PATH, Line, create_org, crowd, get, refuses

EXIT_S = 10.0
RESTART = 1012
SMALL_BUFFER = 16 * 1024
"""Of a client that reads slowly: most of a long answer waits in the gateway."""


async def test_a_rolling_restart_of_the_gateways_cuts_nothing(mesh, dice, full):
    names = ("first", "second")
    gateways = [await mesh.start("gateway", name=name, sockets_per_principal=50) for name in names]
    some = 600 if full else 100
    made = []
    async with crowd(gateways, mesh.token, dice) as visitors:
        for number, gateway in enumerate(gateways * (3 if full else 1)):
            await visitors.more(dice.randint(some, 2 * some))
            made.append(f"in-hand-{number}")
            code, seconds = await told_to_end(gateway, mesh.token, made[-1])
            assert code == 0, gateway.last_words()
            assert seconds <= EXIT_S
            await visitors.more(some)
            gateway.start()
            await gateway.ready()
        await visitors.more(some)

    told = f"reads {visitors.reads.summary()}; writes {visitors.writes.summary()}"
    assert visitors.reads.count("ok") == len(visitors.reads.operations), told
    assert visitors.writes.count("ok") == len(visitors.writes.operations), told
    orgs = await mesh.orgs()
    assert violations(visitors.writes, [n for n in orgs if n in visitors.writes.keys("ok")]) == {}
    assert set(made) <= set(orgs)
    print(told)


async def told_to_end(gateway, token, name):
    """End a gateway that has a body, an answer and a live socket in hand, and see each of them to its end."""
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession())
        socket = await stack.enter_async_context(
            http.ws_connect(
                f"http://127.0.0.1:{gateway.port}/api/v1/live", headers={"Authorization": f"Bearer {token}"}
            )
        )
        sending = await Line.open(gateway.port)
        reading = await Line.open(gateway.port, buffer=SMALL_BUFFER)
        head, end, body = create_org(name, token, "Expect: 100-continue").partition(b"\r\n\r\n")
        sending.say(head + end)
        reading.say(get(LONG_PATH))
        assert (await sending.head()).status == 100
        sending.say(body[:5])
        long = await reading.head()

        ending = asyncio.create_task(gateway.terminate())
        await eventually(lambda: refuses(gateway.port))
        closed = await socket.receive(timeout=EXIT_S)
        sending.say(body[5:])
        made = await sending.hear()
        assert await reading.body_of(long)

        assert (closed.type, closed.data) == (aiohttp.WSMsgType.CLOSE, RESTART)
        assert (made.status, made.headers["connection"]) == (200, "close")
        for line in (sending, reading):
            line.close()
        return await ending
