"""`polis call`: an operation over the bus of the local mesh, answered as it would be answered to a service."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import msgspec

from polis.bus import Bus
from polis.bus.permissions import ADMIN, inbox_prefix
from polis.proto import Refused
from polis.proto.contract import operations
from polis.proto.registry import load
from polis.service import Caller
from polis.service.faults import faults_in
from polis.service.wire import encode_problem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from polis.local.home import Home
    from polis.proto import Operation

TIMEOUT_S = 10.0


async def call(home: Home, name: str, body: str, token: str) -> int:
    """Print the answer or the problem as JSON; the exit code."""
    load()
    operation = next((o for o in operations() if f"{o.service}.{o.name}" == name and not o.local), None)
    state = home.state()
    if operation is None:
        print(f"there is no operation {name!r}; /docs/llms.txt lists them", file=sys.stderr)
        return 2
    if state is None or not state.nats_port:
        print("the mesh is not running; `make up` starts it", file=sys.stderr)
        return 1
    bus = await Bus.connect(
        f"nats://127.0.0.1:{state.nats_port}",
        name="polis-call",
        user=ADMIN,
        password=home.secret(f"nats-{ADMIN}"),
        inbox_prefix=inbox_prefix(ADMIN),
    )
    try:
        return await _print(Caller(bus, timeout_s=TIMEOUT_S), operation, body, token)
    finally:
        await bus.close()


async def _print(caller: Caller, operation: Operation, body: str, token: str) -> int:
    try:
        request = msgspec.json.decode(body, type=operation.request)
        if operation.streams:
            parts: AsyncIterator[object] = caller.stream(request, token=token)  # type: ignore[arg-type]
            async for part in parts:
                sys.stdout.buffer.write(
                    part if isinstance(part, bytes) else msgspec.json.encode(part) + b"\n"
                )
            return 0
        answer = await caller.call(request, token=token)
    except msgspec.DecodeError as error:
        faults = faults_in(operation.request, msgspec.json.decode(body)) if body.startswith("{") else []
        print(
            f"the request does not fit: {error}",
            *(f"{f.pointer}: {f.detail}" for f in faults),
            sep="\n",
            file=sys.stderr,
        )
        return 2
    except Refused as refusal:
        print(msgspec.json.format(encode_problem(refusal.problem, detail=refusal.detail)).decode())
        return 1
    print(msgspec.json.format(msgspec.json.encode(answer)).decode())
    return 0
