"""Components that read HTML: html.text, html.select, html.links, and html.clean, which keeps what cannot do harm.

Elements in elements in elements cost a parser of HTML the square of their number: a page of very many tags is read in
a process of its own, and so is one that a selector with many parts is looked for in.
"""

from __future__ import annotations

import re

import msgspec
from msgspec import Struct

from polis.runtime.component import Inputs, Step, StepFailed, component
from polis.runtime.components.text.given import the_text
from polis.runtime.components.worker import off_loop
from polis.runtime.isolated.call import isolated
from polis.runtime.isolated.unfit import Unfit
from polis.runtime.isolated.work import find

NEAR_TAGS = 5_000
"""With as many tags the worst page takes less than 100 ms."""
NEAR_STEPS = 100_000_000
"""Steps of a search, at some nanoseconds each: for every combinator the library may go through all elements again."""
MANY_LEVELS = 8
SECONDS = 10.0
_COMBINED = re.compile(r"\s*[>+~]\s*|\s+|\(")
_HAS = ":has("
"""It looks at all that is below an element, for every element."""


class Select(Struct, frozen=True):
    """Configuration of html.select."""

    selector: str
    attributes: tuple[str, ...] = ()
    html: bool = False
    max_items: int = 1_000


class Links(Struct, frozen=True):
    """Configuration of html.links."""

    base: str = ""
    max_items: int = 1_000


@component("html.text")
async def html_text(step: Step, inputs: Inputs) -> None:
    step.emit("out", await of("html.text", the_text(inputs)))


@component("html.select")
async def html_select(step: Step, inputs: Inputs) -> None:
    wanted = msgspec.convert(step.config, Select)
    how = (wanted.selector, list(wanted.attributes), wanted.html, wanted.max_items)
    levels = len(_COMBINED.findall(wanted.selector.strip())) + wanted.selector.lower().count(_HAS)
    step.emit("out", await of("html.select", the_text(inputs), *how, levels=levels))


@component("html.links")
async def html_links(step: Step, inputs: Inputs) -> None:
    wanted = msgspec.convert(step.config, Links)
    step.emit("out", await of("html.links", the_text(inputs), wanted.base, wanted.max_items))


@component("html.clean")
async def html_clean(step: Step, inputs: Inputs) -> None:
    step.emit("out", await of("html.clean", the_text(inputs)))


async def of(work: str, html: str, *how: object, levels: int = 1) -> object:
    """Work on HTML, here or in a process of its own. levels: how often a search may begin anew in itself."""
    tags = html.count("<")
    if tags > NEAR_TAGS or tags ** min(levels, MANY_LEVELS) > NEAR_STEPS:
        return await isolated(work, html, *how, seconds=SECONDS)
    return await off_loop(_near, work, html, how)


def _near(work: str, html: str, how: tuple[object, ...]) -> object:
    try:
        return find(work)(html, *how)
    except Unfit as error:
        raise StepFailed(error.kind, str(error)) from None
