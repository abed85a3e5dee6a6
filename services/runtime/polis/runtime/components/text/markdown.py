"""The component `markdown.html`: CommonMark with tables, sanitised whatever HTML the text holds."""

from __future__ import annotations

from polis.runtime.component import Inputs, Step, StepFailed, component
from polis.runtime.components.text.given import the_text
from polis.runtime.components.text.hypertext import of
from polis.runtime.components.worker import off_loop

MAX_HTML = 16_000_000
"""Characters of the HTML."""


@component("markdown.html")
async def markdown_html(step: Step, inputs: Inputs) -> None:
    step.emit("out", await of("html.clean", await off_loop(_html, the_text(inputs))))


def _html(text: str) -> str:
    import pyromark

    options = (
        pyromark.Options.ENABLE_TABLES
        | pyromark.Options.ENABLE_STRIKETHROUGH
        | pyromark.Options.ENABLE_TASKLISTS
    )
    html = pyromark.html(text, options=options)
    if len(html) > MAX_HTML:
        raise StepFailed("markdown.too_large", f"over {MAX_HTML:,} characters of HTML")
    return html
