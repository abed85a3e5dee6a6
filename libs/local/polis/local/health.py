"""Asks a service's health port whether it is ready."""

from __future__ import annotations

import asyncio

import msgspec

_ANSWER_S = 2.0
_MAX_BYTES = 64 * 1024


async def faults_at(host: str, port: int) -> str | None:
    """What the service lacks: nothing when it is ready, None when nobody answers."""
    try:
        async with asyncio.timeout(_ANSWER_S):
            head, body = await _get(host, port)
    except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return None
    if b" 200 " in head.splitlines()[0]:
        return ""
    try:
        faults = msgspec.json.decode(body, type=dict[str, object]).get("faults")
    except msgspec.MsgspecError:
        faults = None
    if not isinstance(faults, dict):
        return "answers, but not as a service of the mesh"
    return ", ".join(f"{dependency}: {why}" for dependency, why in faults.items())


async def _get(host: str, port: int) -> tuple[bytes, bytes]:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return await reader.readuntil(b"\r\n\r\n"), await reader.read(_MAX_BYTES)
    finally:
        writer.close()
