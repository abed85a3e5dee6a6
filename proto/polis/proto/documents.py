"""Reads the documents that polis.specs renders from the contract; they travel inside this package."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

DOCUMENTS = {
    "openapi.json": "application/json",
    "asyncapi.json": "application/json",
    "schemas.json": "application/schema+json",
    "tools.json": "application/json",
    "llms.txt": "text/plain; charset=utf-8",
    "llms-full.txt": "text/plain; charset=utf-8",
}
"""Names and media types. Each service has all of them; the gateway's tell of the whole mesh."""


@cache
def document(service: str, name: str) -> bytes:
    """One of DOCUMENTS as it was rendered; FileNotFoundError for a service that `make specs` has not seen."""
    return files("polis.proto").joinpath("generated", service, name).read_bytes()
