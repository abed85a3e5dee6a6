"""Logs stay small, and whoever writes to them notices nothing."""

from __future__ import annotations

import subprocess
import sys

from polis.local.rotation import turn_over


def test_a_log_is_turned_over_at_its_size_and_its_writer_goes_on(tmp_path):
    log = tmp_path / "alpha.log"
    code = "import sys\nfor line in sys.stdin: print(line.strip(), flush=True)"
    with log.open("ab") as output:
        writer = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=output, text=True, bufsize=1
        )

    def write(text):
        writer.stdin.write(text + "\n")
        while not log.read_text().endswith(text + "\n"):
            pass

    write("x" * 100)
    turn_over(tmp_path, max_bytes=50)
    write("second")
    turn_over(tmp_path, max_bytes=50)

    assert log.read_text() == "second\n"
    assert (tmp_path / "alpha.log.1").read_text() == "x" * 100 + "\n"
    writer.communicate()


def test_a_small_log_is_left_as_it_is(tmp_path):
    (tmp_path / "alpha.log").write_text("short")

    turn_over(tmp_path, max_bytes=50)

    assert [path.name for path in tmp_path.iterdir()] == ["alpha.log"]
