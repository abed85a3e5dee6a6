"""A step without an engine: components are run alone, or a whole graph in the order of its nodes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest

from polis.runtime.component import implementations
from polis.runtime.egress.addresses import Allowed
from polis.runtime.egress.client import Egress
from polis.runtime.reach import Place, Told
from polis.runtime.shell.reaching import demand_hosts


class Within:
    """What a step reaches in tests: secrets by id, files that it stores, and whatever a test puts here."""

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}
        self.hosts: tuple[str, ...] = ()
        """What all secrets are bound to."""
        self.stored: list[tuple[str, str, bytes]] = []
        self.told: list[tuple[str, str, object]] = []
        self.calls: list[tuple[object, str]] = []
        self.answer: object = None
        self.me = "0190d3c4-1c2f-7a53-8a3e-2f6b7d1f0c99"
        self.folders: dict[str, Path] = {}
        self.egress = Egress(Allowed())

    async def secret(self, secret_id: str, to: Place | Told | None) -> str:
        value = self.secrets[secret_id]
        demand_hosts(self.hosts, to(value) if callable(to) else to)
        return value

    async def store(self, key: str, name: str, media_type: str, content: bytes) -> dict[str, object]:
        self.stored.append((name, media_type, content))
        return {"artifact_id": key, "name": name, "media_type": media_type, "size": len(content)}

    async def tell(self, key: str, topic: str, data: object) -> None:
        self.told.append((key, topic, data))

    async def call(self, request: object, *, key: str, timeout_s: float | None = None) -> object:
        self.calls.append((request, key))
        return self.answer

    def folder(self, name: str) -> Path:
        return self.folders[name]


class Double:
    """What a component sees of the engine, with everything that it does written down."""

    def __init__(self, config: Mapping[str, object], files: Mapping[str, bytes], chunk: int) -> None:
        self.config, self.files, self.chunk = config, files, chunk
        self.key = "run/node/0"
        self.log = self
        self.sent: list[tuple[str, object]] = []
        self.done: list[tuple[int, int | None]] = []
        self.lines: list[tuple[str, str, dict[str, object]]] = []
        self.said: list[tuple[str, str, object]] = []
        self.on_room: Callable[[], None] = lambda: None
        self.reach = Within()

    def emit(self, port: str, value: object) -> None:
        self.sent.append((port, value))

    def out(self, port: str = "out") -> list[object]:
        return [value for name, value in self.sent if name == port]

    async def room(self) -> None:
        self.on_room()

    @property
    def sources(self) -> tuple[str, ...]:
        return ()

    def heartbeat(self) -> None:
        """Nobody waits for it."""

    def cost(self, millionths: int) -> None:
        """Nobody asks what it cost."""

    def say(self, level: str, message: str, value: object = None) -> None:
        self.said.append((level, message, value))

    def progress(self, done: int, total: int | None = None) -> None:
        self.done.append((done, total))

    def info(self, event: str, **fields: object) -> None:
        self.lines.append(("info", event, fields))

    def warning(self, event: str, **fields: object) -> None:
        self.lines.append(("warning", event, fields))

    async def artifact(self, artifact_id: str) -> AsyncIterator[bytes]:
        content = self.files[artifact_id]
        for at in range(0, len(content), self.chunk):
            yield content[at : at + self.chunk]


async def _run(key: str, messages: list[Mapping[str, object]], step: Double) -> Double:
    found = implementations()[key]
    if found.collector:
        collector = found.collector(step)
        for message in messages:
            collector.receive(message)
        await collector.finish()
    for message in [] if found.collector else messages:
        if found.task:
            await found.task(step, message)
        elif found.inline:
            found.inline(step, message)
    return step


@pytest.fixture
def run():
    """Run a component on messages; each is what its port `in` gets, or a mapping by port as `ports`."""

    async def run(
        key,
        *messages,
        ports=(),
        files=None,
        chunk=64 * 1024,
        on_room=None,
        within=None,
        named="run/node/0",
        **config,
    ) -> Double:
        step = Double(config, files or {}, chunk)
        step.key = named
        step.reach = within or step.reach
        step.on_room = on_room or step.on_room
        return await _run(key, [{"in": message} for message in messages] + list(ports), step)

    return run


@pytest.fixture
def within():
    return Within()


@pytest.fixture
def run_example():
    """Run a component on the messages of one of its examples."""

    async def run(key, example) -> Double:
        return await _run(key, list(example.input), Double(example.config, {}, 64 * 1024))

    return run
