"""Peers over HTTP: `hello PORT` is a Starlette JSON hello on uvicorn; `hop PORT` asks NATS by nats-py; `answer` is its echo.

Both are as fast as their libraries allow: uvloop, httptools, no access log, one process. No authentication, no limits.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import nats
import uvicorn
import uvloop
from nats.errors import NoRespondersError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

SUBJECT = "bench.echo"


def _connect() -> Any:
    return nats.connect(
        os.environ["POLIS_NATS_URL"],
        user=os.environ["POLIS_NATS_USER"],
        password=os.environ["POLIS_NATS_PASSWORD"],
    )


def hello() -> Starlette:
    async def answer(_: Request) -> Response:
        return JSONResponse({"room": "r1", "text": "hello from the bench"})

    return Starlette(routes=[Route("/", answer)])


def hop() -> Starlette:
    bus: list[Any] = []

    async def ready(_: Request) -> Response:
        if not bus:
            bus.append(await _connect())
        try:
            await bus[0].request(SUBJECT, b"{}", timeout=1)
        except NoRespondersError:
            return Response(status_code=503)
        return Response()

    async def ask(request: Request) -> Response:
        reply = await bus[0].request(SUBJECT, await request.body(), timeout=5)
        return Response(reply.data, media_type="application/json")

    return Starlette(routes=[Route("/", ask, methods=["POST"]), Route("/ready", ready)])


async def answer() -> None:
    bus = await _connect()

    async def reply(message: Any) -> None:
        await message.respond(message.data)

    await bus.subscribe(SUBJECT, cb=reply)
    await asyncio.Event().wait()


def main() -> None:
    match sys.argv[1:]:
        case ["answer"]:
            uvloop.run(answer())
        case [name, port]:
            app = {"hello": hello, "hop": hop}[name]()
            uvicorn.run(
                app, host="127.0.0.1", port=int(port), loop="uvloop", http="httptools",
                log_level="error", access_log=False, lifespan="off",
            )  # fmt: skip


if __name__ == "__main__":
    main()
