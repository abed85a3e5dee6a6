"""Peers that are Python packages: each in a venv that knows nothing of this project, kept in the temporary folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

_INSTALL_S = 180


def python_with(*packages: str) -> Path:
    """The Python of a venv that holds these (`name==version`, ...). OSError or SubprocessError without a network."""
    name = packages[0].replace("==", "-")
    folder = Path(tempfile.gettempdir()) / f"polis-bench-{name}"
    python = folder / "bin" / "python"
    if not (folder / "whole").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True, timeout=_INSTALL_S)
        beside = Path(sys.executable).parents[1] / "tools" / "bin" / "uv"
        uv = str(beside) if beside.exists() else shutil.which("uv")
        install = [uv, "pip", "install", "-q", "--python"] if uv else []
        command = [*install, str(python)] if uv else [str(python), "-m", "pip", "install", "-q"]
        subprocess.run([*command, *packages], check=True, timeout=_INSTALL_S)
        (folder / "whole").touch()
    return python
