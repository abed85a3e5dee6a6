"""`python -m tests.bench [B6,B10]` or `[only=B6,B10]`: figures beside peers of the same run, and `.polis/bench.json`."""

from __future__ import annotations

import sys
import time

from tests.bench import figures, http_paths
from tests.bench.load import GENERATOR
from tests.bench.mesh import ROOT, Mesh

PARTS = {("B6", "GET", "POST"): http_paths.measure}


def main() -> int:
    known = [name for part in PARTS for name in part]
    given = {name for word in sys.argv[1:] for name in word.removeprefix("only=").split(",") if name}
    if given - set(known):
        print(f"no such part: {', '.join(sorted(given - set(known)))}; there are {', '.join(known)}")
        return 2
    wanted = given or set(known)
    print(f"load: {GENERATOR}; everything on loopback and on the same cores")
    began, found = time.monotonic(), []
    with Mesh() as mesh:
        mesh.start()
        mesh.sign_up()
        for names, measure in PARTS.items():
            if wanted & set(names):
                found += measure(mesh, wanted)
    print(figures.table(found))
    path = ROOT / ".polis" / "bench.json"
    figures.write(found, path)
    print(f"{time.monotonic() - began:.0f} s; written to {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
