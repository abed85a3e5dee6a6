"""Where lines go may be full: they are lost, and whoever said them goes on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from polis.telemetry import trace
from polis.telemetry.logs import RequestLog

FULL = Path("/dev/full")
SAYS = """
import sys
from polis.telemetry import configure, log

configure("catalog")
log.warning("relay.trouble", retry_in_s=0.1)
try:
    raise ValueError("wrong")
except ValueError as error:
    log.error("task.failed", exc_info=error)
sys.stderr.write("it goes on")
"""

pytestmark = pytest.mark.skipif(not FULL.exists(), reason=f"there is no {FULL} here")


def test_a_line_that_the_disk_does_not_take_harms_nobody():
    with FULL.open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", SAYS],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )

    assert done.stderr.startswith("it goes on")


def test_neither_do_the_lines_of_requests():
    with FULL.open("wb", buffering=0) as full:
        log = RequestLog("gateway", full)
        log.add(log.line("GetResource", status=200, seconds=0.1, here=trace.start()))

        log.flush()

    assert log.add(log.line("GetResource", status=200, seconds=0.1, here=trace.start()))
