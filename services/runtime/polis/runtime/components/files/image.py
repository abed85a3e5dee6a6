"""The component `image.thumbnail`."""

from __future__ import annotations

from typing import Literal, cast

import msgspec
from msgspec import Struct

from polis.runtime.component import Inputs, Step, component, message
from polis.runtime.components.files import stored
from polis.runtime.isolated.call import isolated


class Config(Struct, frozen=True):
    """How large it may be, and in which format."""

    width: int = 320
    height: int = 320
    format: Literal["jpeg", "png", "webp"] = "jpeg"


@component("image.thumbnail")
async def image_thumbnail(step: Step, inputs: Inputs) -> None:
    config, file = msgspec.convert(step.config, Config), message(inputs, "in", stored.File)
    content = await stored.whole(step, file)
    kind = config.format.upper()
    made = cast(
        "dict[str, object]", await isolated("image.thumbnail", content, config.width, config.height, kind)
    )
    name = f"{(file.name.rpartition('.')[0] or file.name or 'image')[:200]}.{config.format}"
    stored_as = await step.reach.store(
        step.key, name, f"image/{config.format}", cast("bytes", made["content"])
    )
    step.emit("out", stored_as | {"width": made["width"], "height": made["height"]})
