"""The commands of the README, run as a newcomer would, on a mesh of their own."""

from __future__ import annotations

import json
import os
import re
import shutil
import textwrap
import time
import urllib.request

import pytest

from polis.client import Polis
from polis.local.ports import free_port
from polis.proto.catalog import ListArtifacts
from polis.proto.identity import SignIn
from polis.proto.runtime import GetOutput, StartRun
from polis.testing.places import quick_folder
from tests.e2e import terminal

TEST_S = 200.0
"""For all commands of one test, which tell where they are when it is over."""
DOWN_S = 40.0
README = (terminal.ROOT / "README.md").read_text(encoding="utf-8")
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)

pytestmark = pytest.mark.timeout(TEST_S + DOWN_S + 20)


class Newcomer:
    """Runs make targets with a home and a port of its own."""

    def __init__(self, home):
        port = free_port()
        self.home = home
        self.address = f"http://127.0.0.1:{port}"
        self.ends_at = time.monotonic() + TEST_S
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("POLIS_", "MAKE"))},
            "POLIS_HOME": str(home),
            "POLIS_PORT": str(port),
            "COLUMNS": "140",
        }

    def __call__(self, *arguments, within_s=TEST_S):
        left = max(self.ends_at - time.monotonic(), 0)
        logs = self.home / "logs"
        return terminal.run(
            "make", *arguments, env=self._environment, within_s=min(within_s, left), logs=logs
        )

    def demo(self, *arguments):
        """What it says where it works; where it does not, all that is to be read."""
        done = self("demo", *arguments)
        logs = terminal.last_words(self.home / "logs")
        assert done.returncode == 0, f"{done.stdout}\n--- its errors:\n{done.stderr}\n{logs}"
        return done.stdout


@pytest.fixture(scope="module")
def home():
    """Of one mesh for all; whatever was started is ended."""
    with quick_folder("polis-home-") as folder:
        newcomer = Newcomer(folder / "a home")
        yield newcomer
        newcomer.ends_at = time.monotonic() + DOWN_S
        newcomer("down")


@pytest.fixture
def newcomer(home):
    home.ends_at = time.monotonic() + TEST_S
    return home


def test_the_demo_does_the_main_job_and_leaves_the_mesh_up(newcomer):
    said = newcomer.demo()

    for expected in (
        "signed up as",
        "created the agent sarah",
        "published the graph email-digest",
        "email-digest: succeeded",
    ):
        assert expected in said
    assert re.search(rf"^{newcomer.address}/chat#[0-9a-f-]{{36}}$", said, re.MULTILINE)
    assert f"the mesh stays up at {newcomer.address}" in said.replace("\n", " ")
    assert newcomer("status").returncode == 0


def test_curl_and_make_call_give_the_same_answer(newcomer):
    newcomer.demo()

    with urllib.request.urlopen(f"{newcomer.address}/api/v1/jwks", timeout=30) as answer:
        over_http = json.load(answer)
    over_the_bus = newcomer("call", "op=identity.get_jwks")

    assert json.loads(over_the_bus.stdout) == over_http


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
async def test_what_the_readme_calls_is_answered_with_what_the_demo_made(newcomer, capsys):
    said = newcomer.demo()
    email, password = re.search(r"signed up as (\S+), password (\S+)", said).groups()
    async with Polis(newcomer.address) as polis:
        token = (await polis.call(SignIn(email=email, password=password))).access_token
    async with Polis(newcomer.address, token) as polis:
        (stored,) = (await polis.call(ListArtifacts())).items

    keys, installed = [answered(newcomer, f"TOKEN={token}; {curl}") for curl in curls(newcomer)]
    program = PYTHON.search(README).group(1).replace('"http://127.0.0.1:8080"', "address")
    given = {"Polis": Polis, "StartRun": StartRun, "GetOutput": GetOutput}
    given |= {"address": newcomer.address, "token": token, "mailbox": {"artifact_id": str(stored.id)}}
    exec("async def program():\n" + textwrap.indent(program, "    "), given)
    await given["program"]()

    assert keys["keys"]
    assert installed["agent"] == "echo"
    assert "Email digest" in capsys.readouterr().out


def curls(newcomer):
    """The README's curl commands, for this mesh."""
    for line in re.findall(r"^\$ (curl .*)$", README, re.MULTILINE):
        yield line.replace("http://127.0.0.1:8080", newcomer.address)


def answered(newcomer, command):
    done = terminal.run("sh", "-c", command, env=dict(os.environ), within_s=60, logs=newcomer.home / "logs")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_maildir_and_a_missing_mailbox(newcomer, tmp_path):
    for folder in ("cur", "new", "tmp"):
        (tmp_path / "Maildir" / folder).mkdir(parents=True)
    mail = b"From: Ada <ada@example.org>\r\nTo: ben@example.org\r\nSubject: Bridge\r\nMessage-ID: <1@example.org>\r\n\r\nThe bridge opens on Monday. Please tell the team.\r\n"
    (tmp_path / "Maildir" / "cur" / "1:2,S").write_bytes(mail)

    maildir = newcomer.demo(f"MAILBOX={tmp_path / 'Maildir'}")
    missing = newcomer("demo", f"MAILBOX={tmp_path / 'nothing'}")

    assert "Bridge" in maildir
    assert missing.returncode != 0
    assert "There is no mailbox" in missing.stdout


def test_a_second_up_says_so_and_down_ends_everything_in_time(newcomer):
    newcomer.demo()

    second = newcomer("up")
    down = newcomer("down", within_s=DOWN_S)

    assert second.returncode != 0
    assert "already" in second.stdout
    assert down.returncode == 0, down.stdout
    assert newcomer("status").returncode != 0


def test_what_is_secret_is_readable_by_its_owner_only(newcomer):
    newcomer.demo()

    secrets = [path for path in (newcomer.home / "secrets").iterdir() if path.is_file()]

    assert secrets
    assert [path.name for path in secrets if path.stat().st_mode & 0o077] == []


def test_make_alone_lists_the_targets(newcomer):
    assert "demo" in newcomer().stdout
