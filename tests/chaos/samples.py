"""What a mesh holds at one moment, as numbers by name: memory, files, sockets, threads and tasks of its processes, connections
and rows of PostgreSQL, connections, subscriptions, streams and consumers of the broker."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import aiohttp
import asyncpg
import msgspec
import psutil

from polis.bus import Bus
from polis.bus.config import SYSTEM
from polis.local.children import working_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from polis.testing import Stage

_TIMEOUT_S = 30.0
_METRICS = {
    "tasks": re.compile(r"^polis_tasks ([0-9.e+]+)", re.MULTILINE),
    "live": re.compile(r"^polis_live_open ([0-9.e+]+)", re.MULTILINE),
    "runs": re.compile(r"^polis_runs_active ([0-9.e+]+)", re.MULTILINE),
    "cpu_s": re.compile(r"^process_cpu_seconds_total ([0-9.e+]+)", re.MULTILINE),
}
_SERVICES = ("catalog", "gateway", "identity", "messaging", "runtime")
_TABLES = """
    select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname = any ($1)
"""
_BACKENDS = """
    select usename as name, count(*) as n from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() group by 1
"""


class Part(NamedTuple):
    """A process of the mesh, and the port that its metrics stand on."""

    pid: int
    port: int


class _State(msgspec.Struct):
    messages: int
    bytes: int


class _Consumer(msgspec.Struct):
    num_ack_pending: int
    num_pending: int


class _Stream(msgspec.Struct):
    name: str
    state: _State
    consumer_detail: list[_Consumer] = []


class _Account(msgspec.Struct):
    name: str
    stream_detail: list[_Stream] = []


class _Streams(msgspec.Struct):
    streams: int
    consumers: int
    account_details: list[_Account] = []


class _Connection(msgspec.Struct):
    name: str = ""
    subscriptions: int = 0
    pending_bytes: int = 0


class _Connections(msgspec.Struct):
    connections: list[_Connection] = []


class _Streaming(msgspec.Struct):
    data: _Streams


class _Connecting(msgspec.Struct):
    data: _Connections


class Sampler:
    """Looks at one mesh. parts: its processes by name, as they are when it looks."""

    def __init__(self, stage: Stage, parts: Mapping[str, Part], postgres: Path, folder: Path) -> None:
        """postgres: where it has its data. folder: where samples are written to."""
        assert stage.nats.embedded is not None
        self._stage = stage
        self._parts = parts
        self._folders = {
            "postgres": postgres.resolve(),
            "nats-server": stage.nats.embedded.store.parent.resolve(),
        }
        self._file = folder / "samples.jsonl"
        self._began = time.monotonic()
        self._bus: Bus

    async def open(self) -> None:
        nats = self._stage.nats
        self._bus = await Bus.connect(nats.url, name="sampler", user=SYSTEM, password=nats.passwords[SYSTEM])

    async def close(self) -> None:
        await self._bus.close()

    async def look(self, *, whole: bool = False) -> dict[str, float]:
        """Numbers by `<what>.<whose>`, written to a file as well. whole: also memory and rows, which take longer to look at."""
        found: dict[str, float] = {"at_s": round(time.monotonic() - self._began, 1)}
        for name, part in self._parts.items():
            found |= {
                f"{what}.{name}": value
                for what, value in _of([psutil.Process(part.pid)], memory=whole).items()
            }
            found |= {f"{what}.{name}": value for what, value in (await _told(part.port)).items()}
        for name, folder in self._folders.items() if whole else ():
            there = _of(working_in(folder, name), memory=True)
            found |= {f"{what}.{name}": value for what, value in there.items()}
        found |= await self._postgres(rows=whole)
        found |= dict(self._connections(await self._ask("CONNZ", _Connecting)))
        found |= dict(self._streams(await self._ask("JSZ", _Streaming)))
        with self._file.open("ab") as file:
            file.write(msgspec.json.encode(found) + b"\n")
        return found

    async def _postgres(self, *, rows: bool) -> dict[str, float]:
        connection = await asyncpg.connect(self._stage.database.admin_url)
        try:
            found = {f"backends.{row['name']}": row["n"] for row in await connection.fetch(_BACKENDS)}
            if rows:
                tables = [row["name"] for row in await connection.fetch(_TABLES, list(_SERVICES))]
                each = " union all ".join(
                    f"select '{name}' as name, count(*) as n from {name}" for name in tables
                )
                found |= {f"rows.{row['name']}": row["n"] for row in await connection.fetch(each)}
        finally:
            await connection.close()
        return found

    async def _ask(self, what: str, kind: type) -> msgspec.Struct:
        payload = b'{"streams":true,"consumer":true}' if what == "JSZ" else b"{}"
        reply = await self._bus.request(f"$SYS.REQ.SERVER.PING.{what}", payload, timeout_s=_TIMEOUT_S)
        return msgspec.json.decode(reply.payload, type=kind)

    def _connections(self, told: _Connecting) -> Iterator[tuple[str, float]]:
        """By the name that a client gave: replicas together."""
        for name in {each.name for each in told.data.connections} - {"sampler"}:
            theirs = [each for each in told.data.connections if each.name == name]
            yield f"connections.{name}", len(theirs)
            yield f"subscriptions.{name}", sum(each.subscriptions for each in theirs)
            yield f"pending.{name}", sum(each.pending_bytes for each in theirs)

    def _streams(self, told: _Streaming) -> Iterator[tuple[str, float]]:
        yield "streams.nats", told.data.streams
        yield "consumers.nats", told.data.consumers
        for stream in (each for account in told.data.account_details for each in account.stream_detail):
            yield f"messages.{stream.name}", stream.state.messages
            yield f"stored.{stream.name}", stream.state.bytes
            yield f"unread.{stream.name}", sum(c.num_pending for c in stream.consumer_detail)
            yield f"unacknowledged.{stream.name}", sum(c.num_ack_pending for c in stream.consumer_detail)


def _of(processes: list[psutil.Process], *, memory: bool) -> dict[str, float]:
    """Of processes together. own: what they have for themselves alone; pss: with their part of what is shared."""
    weights = ("own_mb", "pss_mb") if memory else ()
    found = dict.fromkeys((*weights, "files", "sockets", "threads", "processes"), 0.0)
    for process in processes:
        with suppress(psutil.Error):
            if memory:
                weight = process.memory_full_info()
                found["own_mb"] += weight.uss / 1e6
                found["pss_mb"] += weight.pss / 1e6
            found["files"] += process.num_fds()
            found["sockets"] += _sockets(process)
            found["threads"] += process.num_threads()
            found["processes"] += 1
    return found


def _sockets(process: psutil.Process) -> int:
    """Where the system lists a process's files, without going through the sockets of all others."""
    listed = Path(f"/proc/{process.pid}/fd")
    if not listed.exists():
        return len(process.net_connections(kind="all"))
    count = 0
    for each in listed.iterdir():
        with suppress(OSError):  # closed meanwhile
            count += str(each.readlink()).startswith("socket:")
    return count


async def _told(port: int) -> dict[str, float]:
    """What a process says of itself."""
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
    async with aiohttp.request("GET", f"http://127.0.0.1:{port}/metrics", timeout=timeout) as answer:
        text = await answer.text()
    return {name: float(found[1]) for name, pattern in _METRICS.items() if (found := pattern.search(text))}
