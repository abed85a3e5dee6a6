"""Jobs done by commands: what they say goes on, what they may not use they do not get, and nothing of them is left."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from polis.testing import eventually
from polis.worker import Job, JobFailed
from polis.worker.__main__ import worker_of
from polis.worker.process import Command, handler

ECHO = """
import json, os, sys
job = json.load(sys.stdin)
print(json.dumps({"port": "out", "value": [job["inputs"]["in"], job["config"]["by"], sorted(os.environ)]}))
with open(os.path.join(os.environ["AGENT_MEMORY"], "seen"), "a") as seen:
    seen.write(job["key"] + "\\n")
"""


def job(value=1):
    return Job("id", "agent.echo", "run", "run/step/0", {"by": 2}, {"in": value}, 1, 1, 3, 30.0)


@pytest.fixture
def run(tmp_path):
    async def run(source, **bounds):
        done = job()
        await handler(Command([sys.executable, "-c", source], str(tmp_path), **bounds))(done)
        return done.emitted

    return run


async def test_a_command_gets_its_job_emits_lines_and_keeps_its_memory(run, tmp_path):
    await run(ECHO)
    emitted = await run(ECHO)

    (message,) = emitted
    value, by, env = message["value"]
    assert (message["port"], value, by) == ("out", 1, 2)
    assert {"AGENT_CONFIG", "AGENT_LOGS", "AGENT_MEMORY", "HOME", "PATH"} <= set(env)
    assert not [name for name in env if name.startswith("POLIS")]
    assert (tmp_path / "memory" / "seen").read_text() == "run/step/0\n" * 2


@pytest.mark.parametrize(
    ("source", "bounds", "kind"),
    [
        ("import sys; sys.exit('no such thing')", {}, "process.failed"),
        ("bytearray(10**9)", {"memory_mb": 200}, "process.failed"),
        ("open('large', 'wb').write(bytes(4 * 1024 * 1024))", {"disk_mb": 1}, "process."),
        ("while True: pass", {"cpu_s": 1}, "process.signal_"),
        ("import time; time.sleep(60)", {"timeout_s": 0.3}, "process.timeout"),
        ("print('x' * 2_000_000)", {}, "process.output_too_large"),
        ("print('no message')", {}, "process.output_invalid"),
    ],
)
async def test_what_goes_beyond_its_bounds_fails_and_says_how(run, source, bounds, kind):
    with pytest.raises(JobFailed) as caught:
        await run(source, **bounds)

    assert caught.value.kind.startswith(kind)
    assert not caught.value.retryable


async def test_a_command_may_ask_to_be_tried_again(run):
    with pytest.raises(JobFailed) as caught:
        await run("import sys; print('busy', file=sys.stderr); sys.exit(75)")

    assert (str(caught.value), caught.value.retryable) == ("busy", True)


async def test_what_a_command_leaves_running_ends_with_it(run, tmp_path):
    await run(
        "import os, subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'],"
        " stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n"
        "open('pid', 'w').write(str(child.pid))"
    )
    pid = int((tmp_path / "memory" / "pid").read_text())

    await eventually(lambda: not _alive(pid), within_s=5)


def _alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_only_what_the_settings_name_is_ever_started(tmp_path):
    (tmp_path / "key").write_text("pk_x\n")
    settings = {
        "address": "http://127.0.0.1:1",
        "key_file": str(tmp_path / "key"),
        "components": {"agent.echo": {"command": ["true"], "folder": str(tmp_path)}},
    }

    assert sorted(worker_of(settings)._handlers) == ["agent.echo"]
    with pytest.raises(TypeError, match="shell"):
        worker_of(settings | {"components": {"x": {"command": ["true"], "folder": "/", "shell": True}}})
