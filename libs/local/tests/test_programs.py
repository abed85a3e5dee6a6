"""PostgreSQL's programs where the user that runs them cannot reach the wheel."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from polis.local import programs


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user runs the wheel's own")
def test_below_a_closed_folder_they_are_copied_to_where_they_can_be_run(open_folder, monkeypatch):
    closed, copies = open_folder / "closed", open_folder / "open"
    closed.mkdir(mode=0o700)
    package = programs._package()
    for name in (package.name, f"{package.name}.libs"):
        shutil.copytree(package.parent / name, closed / name, symlinks=True)
    monkeypatch.setattr(programs, "_package", lambda: closed / package.name)
    monkeypatch.setattr(programs, "_COPIES", copies)

    found = programs.programs((65534, 65534))

    assert found.is_relative_to(copies)
    ran = subprocess.run(
        [found / "postgres", "--version"], user=65534, group=65534, capture_output=True, check=True
    )
    assert b" 18." in ran.stdout
    assert [p for p in copies.rglob("*") if not p.is_symlink() and p.stat().st_mode & 0o022] == []
    assert programs.programs((65534, 65534)) == found


def test_otherwise_the_wheels_own_are_run():
    assert (programs.programs(None) / "postgres").is_relative_to(programs._package())
