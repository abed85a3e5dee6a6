"""Components archive.list and archive.extract."""

from __future__ import annotations

import re
from typing import cast

import msgspec
from msgspec import Struct

from polis.runtime.component import Inputs, Step, component
from polis.runtime.components.files import stored
from polis.runtime.isolated.call import isolated


class Listed(Struct, frozen=True):
    """Configuration of archive.list."""

    max_entries: int = 1_000


class Extract(Struct, frozen=True):
    """Configuration of archive.extract."""

    name: str
    max_bytes: int = stored.MAX_BYTES
    media_type: str = "application/octet-stream"


@component("archive.list")
async def archive_list(step: Step, inputs: Inputs) -> None:
    most = msgspec.convert(step.config, Listed).max_entries
    step.emit("out", await isolated("archive.list", await stored.read(step, inputs), most))


@component("archive.extract")
async def archive_extract(step: Step, inputs: Inputs) -> None:
    config = msgspec.convert(step.config, Extract)
    content = await stored.read(step, inputs)
    found = cast("bytes", await isolated("archive.extract", content, config.name, config.max_bytes))
    name = re.sub(r"[\\/\x00-\x1f\x7f]", "_", config.name.rstrip("/").rpartition("/")[2])[:255].strip(".")
    step.emit("out", await step.reach.store(step.key, name or "file", config.media_type, found))
