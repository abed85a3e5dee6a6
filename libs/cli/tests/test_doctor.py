"""What the doctor says of machines that lack something."""

from __future__ import annotations

import io
import os
import socket
from types import SimpleNamespace

import pytest
from rich.console import Console

from polis.cli import doctor
from polis.local.children import identify
from polis.local.home import Home, State
from polis.local.ports import free_port


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / "a [bracketed] folder")
    home.make()
    yield home
    home.release()


@pytest.fixture
def says(home):
    """The exit code and the text of a visit, with these settings."""

    def says(**settings):
        text = io.StringIO()
        code = doctor.doctor(Console(file=text, width=200), home, {"POLIS_PORT": str(free_port())} | settings)
        return code, text.getvalue()

    return says


def test_a_sound_machine_has_no_faults(says, home):
    code, text = says()

    assert code == 0, text
    assert "✗" not in text
    assert str(home.root) in text


def test_a_taken_port_is_named_with_its_holder(says):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, text = says(POLIS_PORT=str(taken.getsockname()[1]))

    assert code == 1
    assert f"(process {os.getpid()}); POLIS_PORT=<number> chooses another one" in text


def test_a_full_disk_is_named(says, monkeypatch):
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: SimpleNamespace(free=10**6))

    code, text = says()

    assert code == 1
    assert "the disk is nearly full" in text


def test_another_libc_is_named(says, monkeypatch):
    monkeypatch.setattr(doctor.platform, "libc_ver", lambda: ("", ""))

    code, text = says()

    assert code == 1
    assert "need glibc 2.28" in text
    assert "POLIS_POSTGRES_URL" in text


def test_data_of_another_version_is_named(says, home):
    (home.root / "postgres").mkdir()
    (home.root / "postgres" / "PG_VERSION").write_text("16\n")

    code, text = says()

    assert code == 1
    assert "is of PostgreSQL 16: upgrade it with pg_upgrade" in text


def test_a_folder_that_may_not_be_written_is_named(says, monkeypatch):
    monkeypatch.setattr(doctor.os, "access", lambda *_: False)

    code, text = says()

    assert code == 1
    assert "start as that user, or name another in POLIS_HOME" in text


def test_a_lock_that_nobody_holds_is_no_fault(says, home):
    home.lock()
    home.release()

    code, text = says()

    assert code == 0
    assert "no mesh runs from" in text


def test_what_a_killed_supervisor_left_is_named(says, home):
    home.save(State(supervisor=identify(0), address="", children={"nats": identify(os.getpid())}))

    code, text = says()

    assert code == 1
    assert f"its processes {os.getpid()} still run" in text


def test_a_running_mesh_and_its_ailing_part_are_named(says, home):
    home.lock()
    home.save(
        State(
            supervisor=identify(os.getpid()),
            address="http://127.0.0.1:1",
            parts={"nats": ("ready", "port 1"), "runtime": ("unready", "postgresql: it does not answer")},
        )
    )

    code, text = says()

    assert code == 1
    assert "runtime is unready" in text
    assert "postgresql: it does not answer" in text


@pytest.mark.parametrize(
    ("name", "url", "words"),
    [
        ("POLIS_POSTGRES_URL", "postgresql://u:hidden@127.0.0.1:1/x", "PostgreSQL at 127.0.0.1:1/x"),
        ("POLIS_NATS_URL", "nats://u:hidden@127.0.0.1:1", "NATS at 127.0.0.1:1"),
    ],
)
def test_servers_that_cannot_be_reached_are_named_without_their_passwords(says, name, url, words):
    code, text = says(**{name: url})

    assert code == 1
    assert words in text
    assert "Connect call failed" in text
    assert "hidden" not in text


def test_a_misspelt_setting_is_named(says):
    code, text = says(POLIS_PROT="1")

    assert code == 1
    assert "POLIS_PROT is no setting" in text
