"""What credentials cost: passwords beside argon2-cffi's wheel, tokens beside PyJWT, and what each request pays at the gateway."""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
from argon2 import PasswordHasher
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from polis.gateway.actors import Actors
from polis.gateway.admission import Admission
from polis.gateway.config import GatewaySettings
from polis.gateway.http import Exchange
from polis.gateway.proxies import Proxies
from polis.identity.people import argon2id, passwords
from polis.proto.catalog import GetResource
from polis.proto.contract import operation_of
from polis.proto.identity import Jwks
from polis.service.actor import Keys
from polis.service.tokens import Claims, SigningKey, Verifier, public_jwk, sign
from tests.bench.child import Child
from tests.bench.figures import Figure, Point, beside
from tests.bench.peer_venv import python_with

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.bench.mesh import Mesh

ROUNDS = 7
POINT_S = 0.5
PRINCIPALS = 1_000
PYJWT = "pyjwt==2.15.1"
_PASSWORD = "a long enough password"
_ORG = UUID(int=1)


def measure(mesh: Mesh, wanted: set[str]) -> list[Figure]:
    """Figures of B8."""
    del wanted
    return [asyncio.run(_sign_ins()), *_tokens(mesh), asyncio.run(_requests())]


# Passwords


async def _sign_ins() -> Figure:
    """Both verify in as many threads as identity's pool has, at its priority, and count the processor's time: other work does not."""
    threads = min(len(os.sched_getaffinity(0)), 4)
    plain = PasswordHasher(passwords.ROUNDS, passwords.MEMORY_KIB, 1)
    callers = 4 * threads
    hasher = passwords.Hasher(threads=threads, queue=callers)
    ours, peers = [], []
    with ThreadPoolExecutor(threads, initializer=passwords.yield_to_others) as pool:
        stored, loop = plain.hash(_PASSWORD), asyncio.get_running_loop()
        for _ in range(ROUNDS):
            ours.append(await _verified(lambda: hasher.verify(stored, _PASSWORD), callers))
            peers.append(
                await _verified(lambda: loop.run_in_executor(pool, plain.verify, stored, _PASSWORD), callers)
            )
    hasher.close()
    how = "native" if isinstance(argon2id.best(), argon2id.Native) else "argon2-cffi, as nothing was built"
    return beside(
        "B8",
        f"passwords verified in {threads} threads of identity ({how})",
        ours,
        "argon2-cffi wheel",
        peers,
        bar=2.5,
        unit="sign-ins/s a core",
    )


async def _verified(verify: Callable[[], Any], callers: int) -> Point:
    waits: list[float] = []
    began, spent = time.perf_counter(), time.process_time()

    async def call() -> None:
        while (begun := time.perf_counter()) < began + POINT_S:
            if not await verify():
                raise RuntimeError("the password does not fit")
            waits.append(time.perf_counter() - begun)

    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(call())
    rate = len(waits) / (time.process_time() - spent)
    waits.sort()
    return Point(rate, waits[len(waits) // 2] * 1000, waits[len(waits) * 99 // 100] * 1000)


# Tokens


class _Identity:
    """Answers for the public keys, as identity does over the bus."""

    def __init__(self, key: SigningKey) -> None:
        self._jwks = Jwks(keys=(public_jwk(key),))

    async def call(self, *_: object, **__: object) -> Jwks:
        return self._jwks


def _signed(key: SigningKey, number: int) -> str:
    now = int(time.time())
    claims = Claims(
        sub=UUID(int=1000 + number),
        kind="user",
        name="Bench",
        org=_ORG,
        orgs={str(_ORG): "owner"},
        iat=now,
        exp=now + 900,
        jti=str(number),
        sid=UUID(int=5000 + number),
    )
    return sign(claims, key)


def _tokens(mesh: Mesh) -> list[Figure]:
    key = SigningKey("bench", Ed25519PrivateKey.generate())
    token = _signed(key, 0)
    came = token.encode()
    keys = asyncio.run(_knowing(key, [token]))
    verifier = Verifier()
    verifier.replace_keys(Jwks(keys=(public_jwk(key),)))
    ours: dict[str, Callable[[], object]] = {
        "seen before": lambda: keys.known(came.decode("latin-1"), None),
        "seen for the first time": lambda: verifier._check(token, time.time()),
    }
    try:
        peer = Child(_pyjwt(mesh), mesh.last_words)
        question = {"token": token, "jwk": msgspec.to_builtins(public_jwk(key)), "seconds": POINT_S}
        peer.ask(**question)
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        note = f"no PyJWT to compare with: {error}"
        return [
            Figure("B8", f"token, {how}", _rate(check), "checks/s", note=note) for how, check in ours.items()
        ]
    points: dict[str, list[Point]] = {name: [] for name in (*ours, "peer")}
    for _ in range(ROUNDS):
        for how, check in ours.items():
            points[how].append(Point(_rate(check)))
        points["peer"].append(Point(peer.ask(**question)))
    bars = {"seen before": 80.0}
    return [
        beside(
            "B8", f"token, {how}", points[how], "PyJWT", points["peer"], bar=bars.get(how), unit="checks/s"
        )
        for how in ours
    ]


def _pyjwt(mesh: Mesh) -> subprocess.Popen[bytes]:
    python = python_with(PYJWT, "cryptography")
    script = str(Path(__file__).with_name("jwt_child.py"))
    return mesh.beside("-P", script, settings={}, pipes=True, python=str(python))


async def _knowing(key: SigningKey, tokens: list[str]) -> Keys:
    keys = Keys(_Identity(key), service="gateway", credential="")  # type: ignore[arg-type]
    for token in tokens:
        await keys.actor(token, None)
    return keys


# Requests


async def _requests() -> Figure:
    """The whole of what a request with a known token pays before it is passed on."""
    key = SigningKey("bench", Ed25519PrivateKey.generate())
    tokens = [_signed(key, number) for number in range(PRINCIPALS)]
    kernel: Any = SimpleNamespace(keys=await _knowing(key, tokens))
    nobody: Any = None
    actors = Actors(kernel, nobody)
    settings = GatewaySettings(principal_rate=1_000_000, principal_burst=1_000_000_000)
    admission = Admission(settings, Proxies(""))
    operation = operation_of(GetResource)
    exchanges = itertools.cycle([_exchange(token) for token in tokens])

    def request() -> None:
        exchange = next(exchanges)
        actor = actors.known(exchange)
        if actor is None:
            raise RuntimeError("the token is not known")
        admission.take(exchange, operation, actor)

    found = sorted(1e6 / _rate(request) for _ in range(ROUNDS))
    name = f"bucket and token check together, {PRINCIPALS:,} principals"
    return Figure("B8", name, found[ROUNDS // 2], "us/request", bar=15.0, at_most=True)


def _exchange(token: str) -> Exchange:
    headers = {b"authorization": b"Bearer " + token.encode()}
    return Exchange("GET", "/resources/1", b"", headers, peer="192.0.2.1", secure=True)


def _rate(work: Callable[[], object]) -> float:
    """Times in a second of the processor."""
    began, spent, count = time.perf_counter(), time.thread_time(), 0
    while time.perf_counter() < began + POINT_S:
        for _ in range(100):
            work()
        count += 100
    return count / (time.thread_time() - spent)
