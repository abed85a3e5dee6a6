"""Peers that are Node packages: each in a folder that knows nothing of this project, kept in the temporary folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

_INSTALL_S = 180


def modules_with(*packages: str) -> Path:
    """The `node_modules` of a folder that holds these (`name@version`, ...). OSError or SubprocessError without them."""
    npm = shutil.which("npm")
    if npm is None:
        raise OSError("npm is not installed")
    folder = Path(tempfile.gettempdir()) / f"polis-bench-{packages[0].replace('@', '-')}"
    if not (folder / "whole").exists():
        folder.mkdir(exist_ok=True)
        command = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), *packages]
        subprocess.run(command, check=True, timeout=_INSTALL_S, capture_output=True, env=dict(os.environ))
        (folder / "whole").touch()
    return folder / "node_modules"
