"""The components, graphs and assistants that ship with Polis, one JSON file each; the file's name is the key."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TypeVar

import msgspec

from polis.proto.assistant import Assistant
from polis.proto.graph import Component, Graph

T = TypeVar("T")


@cache
def components() -> dict[str, Component]:
    """Every built-in component by its key."""
    return _read("components", Component)


@cache
def graphs() -> dict[str, Graph]:
    """Every shipped graph by its key."""
    return _read("graphs", Graph)


@cache
def assistants() -> dict[str, Assistant]:
    """Every shipped assistant by its key."""
    return _read("assistants", Assistant)


def _read(folder: str, type_: type[T]) -> dict[str, T]:
    shipped = sorted((files(__name__) / folder).iterdir(), key=lambda file: file.name)
    return {
        file.name.removesuffix(".json"): msgspec.json.decode(file.read_bytes(), type=type_)
        for file in shipped
        if file.name.endswith(".json")
    }
