"""`python -m tests.bench [B6,B10]` or `[only=B6,B10]`: figures beside peers of the same run, and `.polis/bench.json`."""

from __future__ import annotations

import os
import sys
import time

from tests.bench import (
    credentials,
    fanout,
    figures,
    finished,
    http_paths,
    posts,
    runs,
    start,
    tenancy,
    waiting,
)
from tests.bench.figures import Figure
from tests.bench.load import GENERATOR
from tests.bench.mesh import ROOT, Mesh

PARTS = {
    ("B6", "GET", "POST", "B4"): http_paths.measure,
    ("B1", "B2", "B3"): runs.measure,
    ("B8",): credentials.measure,
    ("B10",): tenancy.measure,
    ("B5",): fanout.measure,
    ("B7",): posts.measure,
    ("WAITING",): waiting.measure,
    ("FINISHED",): finished.measure,
}
ON_REQUEST = {"B5", "B7", "WAITING", "FINISHED"}
"""What is measured only when it is named."""
NAMES = ("START", *(name for part in PARTS for name in part))


def main() -> int:
    given = {name for word in sys.argv[1:] for name in word.removeprefix("only=").split(",") if name}
    if given - set(NAMES):
        print(f"no such part: {', '.join(sorted(given - set(NAMES)))}; there are {', '.join(NAMES)}")
        return 2
    began = time.monotonic()
    print(
        f"load: {GENERATOR}; {os.cpu_count()} cores, shared with the load; load average {os.getloadavg()[0]:.1f}"
    )
    found = measure(given or set(NAMES) - ON_REQUEST)
    path = ROOT / ".polis" / "bench.json"
    figures.write(found, path)
    print(f"{time.monotonic() - began:.0f} s; written to {path.relative_to(ROOT)}")
    return 0


def measure(wanted: set[str]) -> list[Figure]:
    """Everything that is wanted on one mesh, shown as it comes."""
    found: list[Figure] = []
    with Mesh() as mesh:
        first_s = mesh.start()
        if "START" in wanted:
            found += shown(start.measure(mesh, first_s))
        mesh.sign_up()
        for names, part in PARTS.items():
            if wanted & set(names):
                found += shown(part(mesh, wanted))
                mesh.end_others()
        if "START" in wanted and len(wanted) > 1:
            found += shown([start.worked(mesh)])
    return found


def shown(found: list[Figure]) -> list[Figure]:
    print(f"\n{figures.table(found)}", flush=True)
    return found


if __name__ == "__main__":
    sys.exit(main())
