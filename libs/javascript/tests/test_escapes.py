"""What hostile scripts can do: nothing, within their bounds, to nobody else."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import polis.javascript
from libs.javascript.tests.corpus import BODIES
from polis.javascript import Call, Pool, Script, ScriptFailed

GOOD = Script(
    "good", "let n = 0; function process(ctx, port, value) { ctx.emit('out', value + ++n); }", ("out",)
)
BASELINE = 60 * 1024 * 1024


@pytest.fixture(scope="module")
async def pool():
    async with Pool(2) as pool:
        yield pool


def hostile(source, owner="hostile"):
    return Script(owner, source, ("out",), timeout_s=0.05, memory_mb=16)


def resident(pid):
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def command_of(pid):
    return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")


async def outcome(pool, script, config=None):
    try:
        emitted = await pool.call(script, Call("in", 1, config or {}, "run/step/0", 86_400_000))
    except ScriptFailed as failed:
        return failed.kind
    return [value for _, value in emitted]


@pytest.mark.parametrize("name", BODIES)
async def test_a_hostile_script_gets_nothing_and_the_next_call_finds_nothing_of_it(pool, name):
    source, expected = BODIES[name]
    script = hostile(source)

    neighbour = asyncio.ensure_future(pool.call(GOOD, Call("in", 1)))
    outcomes = [await outcome(pool, script)]
    if outcomes[0] not in ("timeout", "invalid"):
        outcomes.append(await outcome(pool, script))

    allowed = expected if isinstance(expected, tuple) else (expected,)
    assert [found for found in outcomes if found not in allowed] == []
    assert await neighbour == [("out", 2)]
    probe = hostile(
        "function process(ctx) { ctx.emit('out', [typeof left, ({}).left ?? 0, `${{}}`, JSON.stringify([1]), [1].push(2)]) }"
    )
    assert await outcome(pool, probe) == [["undefined", 0, "[object Object]", "[1]", 2]]


async def test_afterwards_no_worker_holds_more_than_at_its_start(pool):
    for _ in range(3):
        await outcome(pool, hostile(BODIES["typed arrays"][0]))
        await outcome(pool, hostile(BODIES["a map without end"][0]))
    await pool.call(GOOD, Call("in", 1))

    for process in pool.processes:
        if not process.retired:
            assert resident(process.pid) < BASELINE


@pytest.mark.skipif(sys.platform != "linux", reason="system calls are filtered on Linux")
def test_a_confined_process_can_open_nothing_connect_to_nothing_and_start_nothing():
    attempts = """
import os, socket, sys, json
sys.path.insert(0, sys.argv[1])
import confine, subprocess, threading
held = confine.confine(1 << 30, 60)
def attempt(work):
    try: work()
    except BaseException as error: return type(error).__name__
    return "done"
def connect(): socket.socket().connect(("127.0.0.1", 9))
tries = {
    "read": lambda: open("/etc/passwd"), "list": lambda: os.listdir("/"), "write": lambda: open("/tmp/left", "w"),
    "socket": connect, "fork": os.fork, "exec": lambda: os.execv("/bin/true", ["true"]),
    "thread": lambda: threading.Thread(target=print).start(), "kill": lambda: os.kill(os.getppid(), 0),
    "duplicate": lambda: os.dup(1), "pipe": os.pipe, "unlink": lambda: os.unlink("/tmp/left"),
}
outcomes = {name: attempt(work) for name, work in tries.items()}
os.write(1, json.dumps([held, outcomes]).encode())
"""
    folder = str(Path(polis.javascript.__file__).parent)
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", attempts, folder], capture_output=True, check=True, timeout=30
    )
    held, outcomes = json.loads(done.stdout)

    assert held == ["rlimits", "no_new_privs", "seccomp"]
    assert [name for name, outcome in outcomes.items() if outcome == "done"] == []


async def test_a_worker_has_no_environment_and_no_files_open_but_its_pipes(pool):
    await pool.call(GOOD, Call("in", 1))
    process = next(process for process in pool.processes if not process.retired)

    assert process.held == ["rlimits", "no_new_privs", "seccomp"]
    assert {b"-I", b"-S"} <= set(command_of(process.pid))
