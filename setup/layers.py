"""Holds the layers of the tree: makes import-linter's contracts from the registry, so that a new service is in them by itself.

services (independent) -> polis.service -> polis.bus | polis.db -> polis.telemetry -> polis.proto. There is no exception list.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from polis.proto.registry import SERVICES

NAMES = [f"polis.{service.name}" for service in SERVICES]
KERNEL = ["polis.service", "polis.bus", "polis.db", "polis.telemetry", "polis.proto"]
ALONE = ["polis.graph", "polis.javascript"]
BESIDE = ["polis.specs", "polis.local", "polis.testing", "polis.cli", "polis.client", "polis.worker"]
ONLY_IN = {
    "nats": ["polis.bus"],
    "asyncpg": ["polis.db"],
    "structlog": ["polis.telemetry"],
    "opentelemetry": ["polis.telemetry"],
    "quickjs": ["polis.javascript"],
    "_quickjs": ["polis.javascript"],
}
"""Libraries that one package hides from all others."""


def main() -> int:
    layers = [" | ".join(NAMES), "polis.service", "polis.bus | polis.db", "polis.telemetry", "polis.proto"]
    contracts = [
        ("Services stand on the kernel, the kernel on the contract", "layers", {"layers": layers}),
        (
            "The libraries for graphs and for scripts stand on the contract alone",
            "forbidden",
            forbid(ALONE, [*KERNEL[:-1], *NAMES]),
        ),
        (
            "No service imports what stands beside the services",
            "forbidden",
            forbid([*NAMES, *KERNEL, *ALONE], BESIDE),
        ),
        *(
            (f"Only {', '.join(owners)} imports {library}", "forbidden", hide(library, owners))
            for library, owners in ONLY_IN.items()
        ),
    ]
    roots = [*NAMES, *KERNEL, *ALONE, *BESIDE]
    text = section("importlinter", {"root_packages": roots, "include_external_packages": ["True"]})
    for number, (name, kind, options) in enumerate(contracts):
        text += section(f"importlinter:contract:{number}", {"name": [name], "type": [kind], **options})
    with tempfile.NamedTemporaryFile("w", suffix=".ini", encoding="utf-8") as config:
        config.write(text)
        config.flush()
        tool = Path(sys.executable).parent / "lint-imports"
        return subprocess.run([tool, "--config", config.name, "--no-cache"], check=False).returncode  # noqa: S603


def forbid(sources: list[str], forbidden: list[str]) -> dict[str, list[str]]:
    return {"source_modules": sources, "forbidden_modules": forbidden}


def hide(library: str, owners: list[str]) -> dict[str, list[str]]:
    """Nobody but the owner imports it directly; through the owner everybody may use it."""
    sources = [name for name in [*NAMES, *KERNEL, *ALONE, "polis.specs", "polis.cli"] if name not in owners]
    return forbid(sources, [library]) | {"allow_indirect_imports": ["True"]}


def section(name: str, options: dict[str, list[str]]) -> str:
    lines = [f"[{name}]"]
    for option, values in options.items():
        lines.append(f"{option} = {values[0]}" if len(values) == 1 else f"{option} =")
        lines += [f"    {value}" for value in values] if len(values) > 1 else []
    return "\n".join(lines) + "\n\n"


if __name__ == "__main__":
    sys.exit(main())
