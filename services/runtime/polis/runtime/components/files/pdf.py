"""The component `pdf.text`."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from polis.runtime.component import Inputs, Step, component
from polis.runtime.components.files import stored
from polis.runtime.isolated.call import isolated


class Config(Struct, frozen=True):
    """How much of it is read."""

    max_pages: int = 200
    max_chars: int = 1_000_000


@component("pdf.text")
async def pdf_text(step: Step, inputs: Inputs) -> None:
    config = msgspec.convert(step.config, Config)
    content = await stored.read(step, inputs)
    step.emit("out", await isolated("pdf.text", content, config.max_pages, config.max_chars, seconds=60.0))
