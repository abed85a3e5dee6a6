"""The folder of a mesh: secrets, the lock and the record."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from polis.local.children import identify
from polis.local.home import AlreadyRunning, Home, State


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / ".polis")
    home.make()
    yield home
    home.release()


def test_a_secret_is_made_once_and_differs_from_others(home):
    assert home.secret("mesh") == Home(home.root).secret("mesh")
    assert home.secret("mesh") != home.secret("postgres")
    assert len(home.secret("mesh")) == 64
    assert (home.secrets / "mesh").stat().st_mode & 0o777 == 0o600


def test_a_folder_that_others_could_read_is_closed(tmp_path):
    (tmp_path / ".polis").mkdir(mode=0o755)

    Home(tmp_path / ".polis").make()

    assert (tmp_path / ".polis").stat().st_mode & 0o777 == 0o700


def test_a_credential_belongs_to_its_service(home):
    assert home.credential("catalog") == home.credential("catalog")
    assert home.credential("catalog") != home.credential("runtime")


def test_one_process_holds_the_folder(home):
    home.lock()

    assert Home(home.root).locked()
    with pytest.raises(AlreadyRunning):
        Home(home.root).lock()


def test_the_lock_ends_with_its_process(home):
    code = (
        f"from pathlib import Path; from polis.local.home import Home; Home(Path({str(home.root)!r})).lock()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

    assert not home.locked()


def test_the_record_is_read_as_it_was_written(home):
    state = State(
        supervisor=identify(os.getpid()), address="http://127.0.0.1:1", parts={"nats": ("ready", "")}
    )
    home.save(state)

    assert home.state() == state
    assert home.state().supervisor.alive()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"supervisor": 1}', b"\xff"])
def test_a_record_that_cannot_be_read_is_none(home, content):
    (home.root / "state.json").write_bytes(content)

    assert home.state() is None
