"""How long the mesh takes until every part is ready, and how much memory all of its processes take."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.bench.figures import Figure

if TYPE_CHECKING:
    from tests.bench.mesh import Mesh

FIRST_S, AGAIN_S, PSS_MB = 25.0, 10.0, 600.0
_REST_S = 3.0
"""After the start, before memory is read."""


def measure(mesh: Mesh, first_s: float) -> list[Figure]:
    """First and second start, and the proportional set size at rest. The mesh is up afterwards."""
    mesh.down()
    again_s = mesh.start()
    time.sleep(_REST_S)
    return [
        Figure("START", "first start, packages installed", first_s, "s", bar=FIRST_S, at_most=True),
        Figure("START", "second start", again_s, "s", bar=AGAIN_S, at_most=True),
        _memory(mesh, "at rest"),
    ]


def worked(mesh: Mesh) -> Figure:
    """The same after everything else has run."""
    return _memory(mesh, "after the load")


def _memory(mesh: Mesh, when: str) -> Figure:
    parts = ", ".join(f"{name} {mb:.0f}" for name, mb in mesh.pss_parts().items())
    return Figure(
        "START",
        f"PSS of all processes {when}",
        mesh.pss_mb(),
        "MB",
        bar=PSS_MB,
        at_most=True,
        note=f"MB: {parts}",
    )
