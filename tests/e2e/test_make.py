"""The commands of the README, run as a newcomer would, on a mesh of their own."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from polis.local.ports import free_port
from polis.testing.places import quick_folder

ROOT = Path(__file__).parent.parent.parent
TIMEOUT_S = 220


@pytest.fixture(scope="module")
def newcomer():
    """Runs a make target with a home and a port of its own; whatever was started is ended."""
    with quick_folder("polis-home-") as folder:
        yield from used_by(folder / "a home")


def used_by(home):
    port = free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("POLIS_", "MAKE"))},
        "POLIS_HOME": str(home),
        "POLIS_PORT": str(port),
        "COLUMNS": "140",
    }

    def make(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["make", *arguments],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
        )

    make.address = f"http://127.0.0.1:{port}"
    make.home = home
    yield make
    make("down")


@pytest.mark.timeout(TIMEOUT_S + 10)
def test_the_demo_does_the_main_job_and_leaves_the_mesh_up(newcomer):
    done = newcomer("demo")

    assert done.returncode == 0, done.stdout + done.stderr
    for expected in (
        "signed up as",
        "created the agent sarah",
        "published the graph email-digest",
        "email-digest: succeeded",
    ):
        assert expected in done.stdout
    assert f"the mesh stays up at {newcomer.address}" in done.stdout.replace("\n", " ")
    assert newcomer("status").returncode == 0


@pytest.mark.timeout(TIMEOUT_S + 10)
def test_curl_and_make_call_give_the_same_answer(newcomer):
    assert newcomer("demo").returncode == 0

    with urllib.request.urlopen(f"{newcomer.address}/api/v1/jwks", timeout=5) as answer:
        over_http = json.load(answer)
    over_the_bus = newcomer("call", "op=identity.get_jwks")

    assert json.loads(over_the_bus.stdout) == over_http


@pytest.mark.timeout(TIMEOUT_S + 10)
def test_a_maildir_and_a_missing_mailbox(newcomer, tmp_path):
    for folder in ("cur", "new", "tmp"):
        (tmp_path / "Maildir" / folder).mkdir(parents=True)
    mail = b"From: Ada <ada@example.org>\r\nTo: ben@example.org\r\nSubject: Bridge\r\nMessage-ID: <1@example.org>\r\n\r\nThe bridge opens on Monday. Please tell the team.\r\n"
    (tmp_path / "Maildir" / "cur" / "1:2,S").write_bytes(mail)

    maildir = newcomer("demo", f"MAILBOX={tmp_path / 'Maildir'}")
    missing = newcomer("demo", f"MAILBOX={tmp_path / 'nothing'}")

    assert maildir.returncode == 0, maildir.stdout + maildir.stderr
    assert "Bridge" in maildir.stdout
    assert missing.returncode != 0
    assert "There is no mailbox" in missing.stdout


@pytest.mark.timeout(TIMEOUT_S + 10)
def test_a_second_up_says_so_and_down_ends_everything_in_time(newcomer):
    assert newcomer("demo").returncode == 0
    second = newcomer("up")
    started = time.monotonic()
    down = newcomer("down")
    took = time.monotonic() - started

    assert second.returncode != 0
    assert "already" in second.stdout
    assert down.returncode == 0, down.stdout
    assert took < 15
    assert newcomer("status").returncode != 0


def test_what_is_secret_is_readable_by_its_owner_only(newcomer):
    assert newcomer("demo").returncode == 0
    secrets = [path for path in (newcomer.home / "secrets").iterdir() if path.is_file()]

    assert secrets
    assert [path.name for path in secrets if path.stat().st_mode & 0o077] == []


def test_make_alone_lists_the_targets(newcomer):
    assert "demo" in newcomer().stdout
