"""The port before several servers."""

from __future__ import annotations

import asyncio

import aiohttp
from aiohttp import web

from polis.testing.turns import in_turns


async def _server(stack, name):
    async def named(request):
        return web.Response(text=name + await request.text())

    async def echo(request):
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for said in socket:
            await socket.send_str(name + said.data)
        return socket

    app = web.Application()
    app.router.add_route("*", "/", named)
    app.router.add_get("/socket", echo)
    runner = web.AppRunner(app)
    await runner.setup()
    stack.append(runner)
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    return site._server.sockets[0].getsockname()[1]


async def test_each_request_of_a_connection_goes_to_the_next_server_and_a_socket_stays_with_one():
    runners = []
    try:
        ports = [await _server(runners, name) for name in "ab"]
        async with in_turns(ports) as port, aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client:
            big = "x" * 300_000
            told = [await (await client.post("/", data=big)).text() for _ in range(4)]
            async with client.ws_connect("/socket") as socket:
                heard = []
                for said in ("GET ", "POST ", "1"):
                    await socket.send_str(said)
                    async with asyncio.timeout(20):
                        heard.append(await socket.receive_str())
    finally:
        for runner in runners:
            await runner.cleanup()

    assert [text[0] for text in told] in (["a", "b", "a", "b"], ["b", "a", "b", "a"])
    assert {text[1:] for text in told} == {big}
    name = heard[0][0]
    assert heard == [f"{name}GET ", f"{name}POST ", f"{name}1"]
