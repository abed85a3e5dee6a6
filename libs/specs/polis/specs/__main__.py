"""`python -m polis.specs [folder]` writes the documents of the contract: what `make specs` calls."""

from __future__ import annotations

import sys
from pathlib import Path

from polis.specs.render import write

GENERATED = Path(__file__).resolve().parents[4] / "proto" / "generated"
"""The folder of this source tree; an installed package is told another."""


def main(folder: Path) -> None:
    changed = write(folder)
    sys.stdout.write("".join(f"{name}\n" for name in changed) or "The documents are up to date.\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else GENERATED)
