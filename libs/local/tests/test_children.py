"""Child processes: they end with their parent, and are told apart from others of the same number."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from polis.local.children import ProcessId, end_left_over, ended, identify, spawn, stop, working_in
from polis.testing import eventually

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


def test_a_child_ends_when_its_parent_is_killed():
    code = "from polis.local.children import spawn; import sys, time; print(spawn(sys.argv[1:]).pid, flush=True); time.sleep(60)"
    parent = subprocess.Popen([sys.executable, "-c", code, *SLEEP], stdout=subprocess.PIPE)
    child = psutil.Process(int(parent.stdout.readline()))

    parent.kill()
    parent.wait()

    psutil.wait_procs([child], timeout=5)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    parent.stdout.close()


async def test_the_end_of_a_child_is_seen_at_once():
    process = spawn([sys.executable, "-c", "raise SystemExit(7)"])

    assert await ended(process) == 7
    assert await ended(process) == 7


async def test_who_does_not_end_is_killed_with_its_group():
    code = (
        "import signal, subprocess, time; signal.signal(15, signal.SIG_IGN); "
        f"print(subprocess.Popen({SLEEP!r}).pid, flush=True); time.sleep(60)"
    )
    process = spawn([sys.executable, "-c", code], output=subprocess.PIPE)
    grandchild = psutil.Process(int(process.stdout.readline()))

    by_itself = await stop(process, signal.SIGTERM, within_s=0.2)

    assert not by_itself
    assert process.returncode == -signal.SIGKILL
    await eventually(lambda: not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE)
    process.stdout.close()


async def test_a_process_that_only_has_the_number_is_left_alone():
    process = spawn(SLEEP)
    another = ProcessId(process.pid, "another start")

    await end_left_over(another, signal.SIGKILL, within_s=1)

    assert not another.alive()
    assert process.poll() is None
    await stop(process, signal.SIGKILL, within_s=5)


async def test_what_was_left_over_is_ended_and_killed_when_it_does_not_listen():
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    process = spawn([sys.executable, "-c", code], output=subprocess.PIPE)
    process.stdout.readline()
    left = identify(process.pid)

    await end_left_over(left, signal.SIGTERM, within_s=0.2)

    assert not left.alive()
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()


@pytest.mark.skipif(sys.platform != "linux", reason="prctl")
def test_a_process_may_be_woken_as_late_as_it_was_started_with():
    code = "import ctypes; print(ctypes.CDLL(None).prctl(30, 0, 0, 0, 0))"

    told = []
    for late_by_ns in (0, 700_000):
        process = spawn([sys.executable, "-c", code], output=subprocess.PIPE, late_by_ns=late_by_ns)
        told.append(int(process.communicate()[0]))

    assert told[1] == 700_000
    assert told[0] != 700_000


def test_a_zombie_does_not_count_as_alive():
    process = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

    assert identify(process.pid).started == ""
    assert not identify(process.pid).alive()
    process.wait()


async def test_processes_are_found_by_where_they_work(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    processes = [spawn(["/bin/sleep", "60"], cwd=folder) for folder in (here, there)]

    await eventually(lambda: [p.pid for p in working_in(here, "sleep")] == [processes[0].pid])
    assert working_in(here, "postgres") == []
    for process in processes:
        await stop(process, signal.SIGKILL, within_s=5)


def test_identity_holds_for_this_very_process():
    assert identify(os.getpid()).alive()
    assert identify(os.getpid()).started.endswith(
        Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
    )
