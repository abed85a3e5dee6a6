"""Components file.read and file.write."""

from __future__ import annotations

import base64
from typing import Literal

import msgspec
from msgspec import Struct

from polis.runtime.component import Inputs, Step, StepFailed, component
from polis.runtime.components.files import stored
from polis.runtime.components.worker import off_loop

MAX_TEXT = 4_000_000
"""Bytes of a file that becomes a message."""


class Read(Struct, frozen=True):
    """Configuration of file.read."""

    form: Literal["text", "base64", "lines"] = "text"
    encoding: Literal["utf-8", "utf-16", "latin-1", "windows-1252"] = "utf-8"
    max_bytes: int = MAX_TEXT
    damaged: Literal["error", "replace"] = "error"


class Write(Struct, frozen=True):
    """Configuration of file.write."""

    name: str
    media_type: str = "text/plain"
    form: Literal["text", "base64", "json"] = "text"


@component("file.read")
async def file_read(step: Step, inputs: Inputs) -> None:
    config = msgspec.convert(step.config, Read)
    content = await stored.read(step, inputs, config.max_bytes)
    if config.form == "base64":
        step.emit("out", base64.b64encode(content).decode())
        return
    text = await off_loop(_text, content, config)
    if config.form == "text":
        step.emit("out", text)
        return
    for number, line in enumerate(text.splitlines(), start=1):
        step.emit("out", line)
        if number % 64 == 0:
            await step.room()


@component("file.write")
async def file_write(step: Step, inputs: Inputs) -> None:
    config = msgspec.convert(step.config, Write)
    content = await off_loop(_bytes, inputs["in"], config)
    step.emit("out", await step.reach.store(step.key, config.name, config.media_type, content))


def _text(content: bytes, config: Read) -> str:
    try:
        text = content.decode(config.encoding, "strict" if config.damaged == "error" else "replace")
    except UnicodeDecodeError as error:
        raise StepFailed("file.no_text", f"byte {error.start:,} is no {config.encoding}") from None
    return text.removeprefix("\ufeff")


def _bytes(value: object, config: Write) -> bytes:
    if config.form == "json":
        return msgspec.json.encode(value)
    if not isinstance(value, str):
        raise StepFailed("file.no_text", f"`{config.form}` writes a text, not {type(value).__name__}")
    try:
        return value.encode() if config.form == "text" else base64.b64decode(value, validate=True)
    except ValueError:  # of texts that cannot be encoded, too
        raise StepFailed("file.invalid", f"this is no {config.form}") from None
