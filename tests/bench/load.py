"""Load in a closed loop from a process of its own: wrk where it is installed, else a client of ours."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from tests.bench.figures import Point

CONNECTIONS = 64
_WRK = shutil.which("wrk")
GENERATOR = "wrk, one thread" if _WRK else "asyncio client in a process of its own"
_SPARE_S = 20.0
_MAX_BROKEN = 0.002
_SCALE_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


class Ask(NamedTuple):
    """One kind of request. `#` in the body becomes a number that no other request of the run has."""

    url: str
    method: str = "GET"
    token: str = ""
    body: str = ""

    @property
    def headers(self) -> dict[str, str]:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return headers | ({"Content-Type": "application/json"} if self.body else {})


class Refusals(Exception):
    """Requests were refused or got no answer, so the rate tells nothing."""


_started = 0


def drive(ask: Ask, *, seconds: int, connections: int = CONNECTIONS) -> Point:
    """Requests per second with one in flight on each connection. Refusals when an answer is no 2xx."""
    global _started  # noqa: PLW0603 - numbers must not come twice in a run
    _started += 1
    with tempfile.TemporaryDirectory(prefix="polis-load-") as folder:
        if _WRK:
            return _wrk(_WRK, ask, seconds, connections, Path(folder))
        return _own(ask, seconds, connections)


def _wrk(wrk: str, ask: Ask, seconds: int, connections: int, folder: Path) -> Point:
    script = folder / "request.lua"
    script.write_text(_lua(ask), encoding="utf-8")
    command = [wrk, "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout=10s", "--latency"]
    run = [*command, "-s", str(script), ask.url]
    text = subprocess.run(run, capture_output=True, text=True, check=True, timeout=seconds + _SPARE_S).stdout
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    if rate is None or "Non-2xx" in text or _broken(text) > float(rate[1]) * seconds * _MAX_BROKEN:
        raise Refusals(f"{ask.method} {ask.url}: {text}")
    return Point(float(rate[1]), _percentile(text, 50), _percentile(text, 99))


def _lua(ask: Ask) -> str:
    lines = [f'wrk.method = "{ask.method}"']
    lines += [f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}" for name, value in ask.headers.items()]
    if "#" in ask.body:
        before, _, after = ask.body.partition("#")
        number = f'"{_started}-" .. n'
        lines += [
            "local n = 0",
            f"request = function() n = n + 1; return wrk.format(nil, nil, nil, {json.dumps(before)} .. {number} .. {json.dumps(after)}) end",
        ]
    elif ask.body:
        lines.append(f"wrk.body = {json.dumps(ask.body)}")
    return "\n".join(lines) + "\n"


def _broken(text: str) -> int:
    """Connections that ended or answers that were late; the other side closes one now and then."""
    found = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    return sum(map(int, found.groups())) if found else 0


def _percentile(text: str, percent: int) -> float:
    found = re.search(rf"\s{percent}%\s+([\d.]+)(us|ms|s|m)", text)
    return float(found[1]) * _SCALE_MS[found[2]] if found else 0.0


def _own(ask: Ask, seconds: int, connections: int) -> Point:
    given = json.dumps([*ask, seconds, connections, _started])
    run = [sys.executable, "-m", "tests.bench.closed_loop"]
    done = subprocess.run(
        run, input=given, capture_output=True, text=True, check=False, timeout=seconds + _SPARE_S
    )
    if done.returncode:
        raise Refusals(f"{ask.method} {ask.url}: {done.stderr.strip()[-300:]}")
    return Point(*json.loads(done.stdout))
