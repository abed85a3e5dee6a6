"""`python -m polis.specs [folder] [client]` writes the documents of the contract, and what the JavaScript client is made from."""

from __future__ import annotations

import sys
from pathlib import Path

from polis.specs.render import of_client, write

ROOT = Path(__file__).resolve().parents[4]
GENERATED = ROOT / "proto" / "generated"
"""The folder of this source tree; an installed package is told another."""
CLIENT = ROOT / "clients" / "typescript" / "generated"


def main(documents: Path = GENERATED, client: Path = CLIENT) -> None:
    changed = [*write(documents), *write(client, of_client())]
    sys.stdout.write("".join(f"{name}\n" for name in changed) or "The documents are up to date.\n")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
