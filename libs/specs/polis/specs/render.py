"""All documents of all services as bytes by path: the same contract gives the same bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from polis.proto.documents import DOCUMENTS
from polis.proto.registry import SERVICES
from polis.specs.asyncapi import asyncapi
from polis.specs.components import components
from polis.specs.llms import llms, llms_full
from polis.specs.openapi import openapi
from polis.specs.schemas import Json, schemas
from polis.specs.tools import tools
from polis.specs.typescript import table, types

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_RENDERERS: dict[str, Callable[[str], Json | str]] = {
    "openapi.json": openapi,
    "asyncapi.json": asyncapi,
    "schemas.json": schemas,
    "tools.json": tools,
    "llms.txt": llms,
    "llms-full.txt": llms_full,
}


def documents() -> dict[str, bytes]:
    """Every document by `<service>/<name>`, and the page of components."""
    of_services = {
        f"{entry.name}/{name}": _render(name, entry.name) for entry in SERVICES for name in DOCUMENTS
    }
    return of_services | {"components.md": components().encode()}


def of_client() -> dict[str, bytes]:
    """What the JavaScript client is made from, by name; it is committed with the client."""
    return {"operations.js": table().encode(), "contract.d.ts": types().encode()}


def write(folder: Path, fresh: dict[str, bytes] | None = None) -> list[str]:
    """Make the folder hold exactly these, or the documents; the names of those that changed, came or went."""
    fresh = documents() if fresh is None else fresh
    present = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    gone = present.keys() - fresh.keys()
    for name in gone:
        present[name].unlink()
    changed = [
        name for name, text in fresh.items() if name not in present or present[name].read_bytes() != text
    ]
    for name in changed:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(fresh[name])
    return sorted([*gone, *changed])


def _render(name: str, service: str) -> bytes:
    document = _RENDERERS[name](service)
    if isinstance(document, str):
        return document.encode()
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"
