"""How a command ends that nobody answers, or that is refused."""

from __future__ import annotations

import subprocess
import sys

import pytest

from polis.cli import __main__ as command
from polis.cli.api import Problem
from polis.cli.runs import REFUSED


@pytest.mark.parametrize("given", [("asks",), ("audit", "verify"), ("verify", "graph/a")])
def test_a_gateway_that_is_not_there_is_said_in_a_line(given):
    nowhere = ("--address", "http://127.0.0.1:1")
    done = subprocess.run(
        [sys.executable, "-m", "polis.cli", *given, *nowhere],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )

    assert (done.returncode, done.stderr) == (REFUSED, "")
    [line] = done.stdout.splitlines()
    assert line.startswith("no connection: ")


def test_so_is_what_the_gateway_says(monkeypatch, capsys):
    def app():
        raise Problem({"title": "Credentials are missing.", "detail": "[/x]", "status": 401})

    monkeypatch.setattr(command, "app", app)

    with pytest.raises(SystemExit) as end:
        command.main()

    assert end.value.code == REFUSED
    assert capsys.readouterr().out == "refused: Credentials are missing. [/x]\n"
