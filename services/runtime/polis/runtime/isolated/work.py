"""What can be done in a process of its own, by name. Arguments and results are what MessagePack holds."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable

WORK = {
    "archive.extract": "archives:extract",
    "archive.list": "archives:entries",
    "html.text": "html:text",
    "html.select": "html:select",
    "html.links": "html:links",
    "html.clean": "html:clean",
    "image.thumbnail": "images:thumbnail",
    "pdf.text": "pdf:text",
    "sheet.read": "sheets:read",
    "sheet.write": "sheets:write",
}


def find(name: str) -> Callable[..., object]:
    """The function of a name."""
    module, _, function = WORK[name].partition(":")
    found = getattr(import_module(f"polis.runtime.isolated.{module}"), function)
    return cast("Callable[..., object]", found)
