"""Prints the folders of this tree that a service's image needs, as comments for its requirements.lock."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

PACKAGES = {
    tomllib.loads(file.read_text(encoding="utf-8"))["project"]["name"]: file
    for pattern in ("proto", "libs/*", "clients/*", "services/*")
    for file in Path().glob(f"{pattern}/pyproject.toml")
}


def needed(package: str) -> list[str]:
    """The folders of the package and of what it depends on, dependencies first."""
    declared = tomllib.loads(PACKAGES[package].read_text(encoding="utf-8"))["project"]["dependencies"]
    below = [folder for name in declared if name in PACKAGES for folder in needed(name)]
    return list(dict.fromkeys([*below, f"./{PACKAGES[package].parent.as_posix()}"]))


if __name__ == "__main__":
    for folder in needed(f"polis-{sys.argv[1]}"):
        print(f"# workspace: {folder}")
