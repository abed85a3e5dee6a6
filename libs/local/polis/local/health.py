"""Asks a service's health port whether it is ready."""

from __future__ import annotations

import asyncio
import ssl
from functools import cache

import msgspec

_ANSWER_S = 2.0
_MAX_BYTES = 64 * 1024


async def faults_at(host: str, port: int, *, tls: bool = False) -> str | None:
    """What the service lacks: nothing when it is ready, None when nobody answers."""
    try:
        async with asyncio.timeout(_ANSWER_S):
            head, body = await _get(host, port, _whoever() if tls else None)
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


@cache
def _whoever() -> ssl.SSLContext:
    """The certificate is for those outside: this asks a process that was started here, at an address that no certificate names."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _get(host: str, port: int, tls: ssl.SSLContext | None) -> tuple[bytes, bytes]:
    reader, writer = await asyncio.open_connection(host, port, ssl=tls)
    try:
        writer.write(b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return await reader.readuntil(b"\r\n\r\n"), await reader.read(_MAX_BYTES)
    finally:
        writer.close()
