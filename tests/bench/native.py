"""Loads in C, built when they are wanted: what a listener costs should not bound what is told to a thousand of them."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path

_HERE = Path(__file__).parent
_COMPILER = shutil.which("cc")
_FLAGS = ("-O2", "-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC")


@lru_cache
def library(name: str) -> ctypes.CDLL | None:
    """`<name>.c` of this folder; None where there is no C compiler. CalledProcessError when it does not compile."""
    if _COMPILER is None:
        return None
    with tempfile.TemporaryDirectory(prefix="polis-bench-native-") as folder:
        built = Path(folder) / f"{name}.so"
        subprocess.run([_COMPILER, *_FLAGS, "-o", str(built), str(_HERE / f"{name}.c")], check=True)
        return ctypes.CDLL(str(built))  # it stays loaded when the file is gone


def written_in() -> str:
    """What loads are written in here."""
    return "Python, for want of a C compiler" if _COMPILER is None else "C"
