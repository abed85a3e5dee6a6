"""Files of the org, as messages name them."""

from __future__ import annotations

from msgspec import Struct

from polis.runtime.component import Inputs, Step, StepFailed, message

MAX_BYTES = 20 * 1024 * 1024
"""Bytes of a file that a component reads as a whole."""


class File(Struct, frozen=True):
    """A reference to a file."""

    artifact_id: str
    name: str = ""
    media_type: str = ""
    size: int | None = None


async def read(step: Step, inputs: Inputs, most: int = MAX_BYTES) -> bytes:
    """The bytes of the file at `in`; StepFailed `file.too_large` beyond the bound, before they are read where it is known."""
    return await whole(step, message(inputs, "in", File), most)


async def whole(step: Step, file: File, most: int = MAX_BYTES) -> bytes:
    """The bytes of a file."""
    if file.size is not None and file.size > most:
        raise too_large(most)
    content = bytearray()
    async for part in step.artifact(file.artifact_id):
        content += part
        if len(content) > most:
            raise too_large(most)
        step.progress(len(content), file.size)
    return bytes(content)


def too_large(most: int) -> StepFailed:
    return StepFailed("file.too_large", f"the file is over {most:,} bytes")
