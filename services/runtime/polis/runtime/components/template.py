"""The component `template`: Mustache over a message, escaped for what the text is."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping

import msgspec
from msgspec import Struct

from polis.runtime.component import Inputs, Step, StepFailed, component
from polis.runtime.components.mustache import MAX_OUTPUT, Escape, render
from polis.runtime.components.worker import off_loop

_SPACE = re.compile(r"\s+")
_INLINE = re.compile(r"[\\`*\[\]<>|]|(?<!\w)_|_(?!\w)|~(?=~)|(?<=~)~")
_AT_START = re.compile(r"^(?=[#+=-])|^(\d+)(?=[.)](?: |$))")


class Config(Struct, frozen=True):
    """The template, what kind of text it makes, and how long that may be."""

    template: str
    escape: str = "markdown"
    max_chars: int = MAX_OUTPUT
    over: str = "error"


def markdown(text: str) -> str:
    """Text on one line that Markdown shows as it is: no markup, link or HTML of a value takes effect."""
    line = _INLINE.sub(r"\\\g<0>", _SPACE.sub(" ", text).strip())
    return _AT_START.sub(lambda start: (start[1] or "") + "\\", line)


def _as_it_is(text: str) -> str:
    return text


ESCAPES: Mapping[str, Escape] = {"markdown": markdown, "html": html.escape, "none": _as_it_is}


@component("template")
async def template(step: Step, inputs: Inputs) -> None:
    config = msgspec.convert(step.config, Config)
    text = await off_loop(render, config.template, inputs["in"], ESCAPES[config.escape])
    step.emit("out", _bounded(text, config))


def _bounded(text: str, config: Config) -> str:
    if len(text) <= config.max_chars:
        return text
    if config.over == "error":
        raise StepFailed(
            "template.too_large", f"the text has {len(text):,} characters, over {config.max_chars:,}"
        )
    note = f"\n\n(Cut: the whole text has {len(text):,} characters.)\n"
    kept = text[: max(0, config.max_chars - len(note))]
    return kept[: kept.rfind("\n") + 1].rstrip() + note
